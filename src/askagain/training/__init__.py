"""Training: losses, LightningModules, datamodules, callbacks, optimizers. Not needed to use a saved encoder."""
