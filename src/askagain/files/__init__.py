"""Files of any kind: written whole or not at all, read plain or gzip, with a bar that shows how fast."""
