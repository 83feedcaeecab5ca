"""A stand-in for the module `time`, so that no test depends on how fast a machine is."""


class Clock:
    """So many seconds pass from one look at it to the next, and none in between."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def monotonic(self) -> float:
        """Seconds, as time.monotonic() gives them."""
        self.now += self.tick
        return self.now
