"""A string becomes feature ids: cleaning, stop words, word vocabulary, letter n-grams. Knows no torch."""
