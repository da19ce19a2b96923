"""Encoders: what turns texts into vectors once it is trained. Needs no Lightning."""
