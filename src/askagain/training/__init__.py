"""What training needs and an encoder is not: NT-Xent, LightningModules, datamodules, the Hits@K callback."""
