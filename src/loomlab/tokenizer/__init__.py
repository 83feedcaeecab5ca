"""How text is cut into tokens: one option a file."""
