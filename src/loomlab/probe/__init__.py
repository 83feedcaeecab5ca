"""What is measured besides the loss."""
