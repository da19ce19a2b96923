"""Files become arrays: the TSV reader, the token store, pair strategies, ranking sets, the built-in sample."""
