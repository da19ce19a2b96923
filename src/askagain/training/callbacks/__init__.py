"""Lightning callbacks: evaluation, checkpoints, hard negatives, charts."""
