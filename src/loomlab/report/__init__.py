"""Many runs: collected, ranked, drawn."""
