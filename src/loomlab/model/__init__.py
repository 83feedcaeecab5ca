"""Model options: one backbone per file."""
