"""Says what is in a corpus folder, what is wrong with it, and what to do about it."""
