"""What a model is trained to do: one LightningModule each."""
