"""Measures what the commands do, beside the plain way of doing it and beside what a user could pick instead."""
