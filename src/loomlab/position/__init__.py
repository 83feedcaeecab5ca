"""Position options: how a model is told the order of its tokens."""
