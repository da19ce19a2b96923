"""Made-up questions: the built-in sample, and a corpus of any size for measurements."""
