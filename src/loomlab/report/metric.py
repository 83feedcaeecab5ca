"""What is known of held-out numbers: which way is better, and which runs they may rank."""

# A run says in its summary which of its numbers are better if there is more of them, and of what
# kind they are. These are what runs were that do not say so, as they were made before.
MORE_IS_BETTER = ("val/accuracy", "val/f1", "val/matthews")
PSEUDO = ("mlm",)
# A pseudo-likelihood of masked tokens sees both sides: it cannot be ranked with the others.
PSEUDO_LIKELIHOOD = "pseudo_likelihood"
LIKELIHOOD = "val/bits_per_byte"  # what every run that predicts text has
NUMBERS = "numbers"  # of texts, which labels and likelihoods are not ranked with
