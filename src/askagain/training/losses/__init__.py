"""Losses: each an `nn.Module` over queries and positives."""
