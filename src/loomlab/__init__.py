"""Config-composed experiments for training and optimizing language models."""

from loomlab.registration import register_when_needed

__version__ = "0.1.0"

register_when_needed()
