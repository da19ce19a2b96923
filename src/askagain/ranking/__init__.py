"""Ranks from vectors, and metrics from ranks: Hits@K, MRR, MAP, nDCG, with intervals and paired tests."""
