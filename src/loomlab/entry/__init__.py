"""Entry points: one thin file per verb of the console script `loom`."""
