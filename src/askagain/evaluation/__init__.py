"""Ranks a corpus with any encoder, and explains the scores."""
