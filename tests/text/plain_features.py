"""The features of one word by their definition, to compare with what is computed for many words at once."""

from askagain.text.features import Features


def word_ids(features: Features, word: str) -> list[int]:
    """The feature ids of one word: the word itself where it is known, then its letter n-grams."""
    row = features.vocabulary.index.get(word)
    ids = [] if row is None else [row]
    if features.tokenizer.vocab_size and (row is None or features.kind != "words_else_trigrams"):
        ids += [len(features.vocabulary) + i for i in features.tokenizer.indices(word)]
    return ids
