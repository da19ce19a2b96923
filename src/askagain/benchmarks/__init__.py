"""Benchmarks of the commands against plain implementations and other packages."""
