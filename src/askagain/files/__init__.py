"""Files of any kind: written whole or not at all, read plain or gzip, with a progress bar."""
