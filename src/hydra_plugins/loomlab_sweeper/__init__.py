"""Hydra finds loomlab's sweeper here."""
