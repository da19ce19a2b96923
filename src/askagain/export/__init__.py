"""Trained encoders in the formats of other libraries, each written whole or not at all and then measured."""
