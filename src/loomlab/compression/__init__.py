"""Techniques that make a model smaller or cheaper to train, in order."""
