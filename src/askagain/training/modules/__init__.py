"""LightningModules: an encoder with a loss and an optimizer."""
