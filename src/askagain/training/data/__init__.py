"""LightningDataModules, the batches they give and the order of examples."""
