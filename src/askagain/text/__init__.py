"""A string becomes feature ids: cleaning, stop words, word vocabulary, letter trigrams. Knows no torch."""
