"""Makes a corpus folder of the files that people have: groups, pairs, tables, dumps, benchmarks."""
