"""Learning-rate schedules: how large a step is over the run."""
