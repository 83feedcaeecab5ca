"""The trainer: Lightning's, with the few settings every run has."""
