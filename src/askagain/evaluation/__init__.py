"""Evaluates rankers: ranking sets, all texts of a corpus, the worst ranked questions, and what explains a score."""
