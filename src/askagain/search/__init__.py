"""An index of questions: built from a file, searched, added to, removed from."""
