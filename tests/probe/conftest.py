"""Runs that several tests look at."""

from tests.once import kept_runs, train_once

__all__ = ["kept_runs", "train_once"]
