"""What `loom plan` plans for."""
