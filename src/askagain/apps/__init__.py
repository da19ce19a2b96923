"""What a command does: train, evaluate."""
