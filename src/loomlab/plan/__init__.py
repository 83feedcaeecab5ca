"""What a run would need on other machines than this one, found without running it."""
