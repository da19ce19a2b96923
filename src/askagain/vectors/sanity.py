"""Questions with a known answer, to see at a glance whether word vectors were read rightly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from askagain.errors import InputError
from askagain.vectors.word_vectors import WordVectors


@dataclass(frozen=True)
class Check:
    """A question to word vectors and their answer; where a word is unknown the answer says so."""

    question: str
    answer: str


def known_words(vectors: WordVectors, words: Sequence[str]) -> list[Check]:
    """For each word whether it has a vector."""
    return [Check(f"is '{word}' known?", "yes" if word in vectors else "no") for word in words]


def analogy(vectors: WordVectors, positive: Sequence[str], negative: Sequence[str], count: int) -> Check:
    """What is nearest to the sum of `positive` less `negative`."""

    def answer() -> str:
        return ", ".join(f"{word} ({cosine:.3f})" for word, cosine in vectors.analogy(positive, negative, count))

    return _check(" - ".join([" + ".join(positive), *negative]), answer)


def odd_one_out(vectors: WordVectors, words: Sequence[str]) -> Check:
    """Which word does not belong to the others."""
    return _check(f"odd one out of {', '.join(words)}", lambda: vectors.odd_one_out(words))


def most_similar(vectors: WordVectors, word: str, among: Sequence[str]) -> Check:
    """Which of the words `among` is nearest to `word`."""
    return _check(f"most similar to {word} among {', '.join(among)}", lambda: vectors.most_similar_among(word, among))


def _check(question: str, answer: Callable[[], str]) -> Check:
    try:
        return Check(question, answer())
    except InputError as error:
        return Check(question, f"no answer: {error}")
