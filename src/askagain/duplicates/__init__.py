"""Finds all duplicates in a corpus, or those that two corpora share."""
