"""The number format of the computation."""
