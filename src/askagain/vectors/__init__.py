"""Pretrained word vectors from word2vec, GloVe or gensim files."""
