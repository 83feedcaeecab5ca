"""What keeps a model from overfitting or diverging: loss terms, dropout, averaged weights."""
