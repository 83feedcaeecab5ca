"""What options there are and what they say of themselves, read from source, without torch."""
