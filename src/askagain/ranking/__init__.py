"""Ranks from vectors, and figures from ranks: Hits@K, MRR, ties."""
