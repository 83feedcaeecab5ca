"""How the process is set up before a run: allocator and matrix products."""
