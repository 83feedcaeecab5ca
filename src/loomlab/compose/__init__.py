"""From command line to a checked config, without importing torch."""
