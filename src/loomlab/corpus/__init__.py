"""Where text comes from: one option a file."""
