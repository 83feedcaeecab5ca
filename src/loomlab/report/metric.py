"""What is known of held-out numbers: which way is better, and which runs they may rank."""

# Held-out numbers of which more is better; of all others, less.
MORE_IS_BETTER = ("val/accuracy", "val/f1", "val/matthews")
# A pseudo-likelihood of masked tokens sees both sides: it cannot be ranked with the others.
PSEUDO = ("mlm",)
LIKELIHOOD = "val/bits_per_byte"  # what every run that predicts text has
