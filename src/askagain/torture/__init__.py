"""Faults on purpose: files are damaged, processes killed and disks filled, and what comes of it is compared."""
