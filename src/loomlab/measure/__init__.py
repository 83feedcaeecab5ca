"""What a run is measured by: held-out scores, FLOPs, memory."""
