"""From command line to a checked config: composing and the gates, without torch."""
