"""Config-composed experiments for training and optimizing language models."""

__version__ = "0.1.0"
