"""File formats a trained model is exported to."""
