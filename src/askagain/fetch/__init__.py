"""Public data sets and word vectors: where they are, how they are downloaded, and what is made of them."""
