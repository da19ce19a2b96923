"""Files become arrays: the TSV reader, the token store, pairs of duplicates, and the cache."""
