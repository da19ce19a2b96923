"""A server of indexes over HTTP: search, embeddings, duplicates, new questions, and a page to try them."""
