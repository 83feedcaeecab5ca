"""Whether the model is compiled before training."""
