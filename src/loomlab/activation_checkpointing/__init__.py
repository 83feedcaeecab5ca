"""What of a block's inner values is kept until the backward pass, and what is computed again."""
