"""Asks word vectors questions with a known answer: `python scripts/inspect_vectors.py vectors=glove_50`."""

from collections.abc import Callable

import hydra
from omegaconf import DictConfig, ListConfig

from askagain.apps.command import one_line_errors, run
from askagain.errors import InputError


@hydra.main(version_base="1.3", config_path="../configs", config_name="inspect_vectors")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Prints a table of questions and answers."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    vectors = hydra.utils.instantiate(cfg.vectors)
    table = Table("question", "answer", title=f"{vectors.name}: {len(vectors)} words x {vectors.dim}")

    def ask(question: str, answer: Callable[[], str]) -> None:
        try:
            table.add_row(escape(question), escape(answer()))
        except InputError as error:  # an unknown word
            table.add_row(escape(question), escape(f"no answer: {error}"))

    for word in _words(cfg.known_words):
        ask(f"is '{word}' known?", lambda word=word: "yes" if word in vectors else "no")  # type: ignore[misc]
    positive, negative, odd = map(_words, (cfg.analogy.positive, cfg.analogy.negative, cfg.odd_one_out))
    nearest = lambda: vectors.analogy(positive, negative, cfg.analogy.count)  # noqa: E731
    ask(
        " - ".join([" + ".join(positive), *negative]),
        lambda: ", ".join(f"{word} ({cosine:.3f})" for word, cosine in nearest()),
    )
    ask(f"odd one out of {', '.join(odd)}", lambda: vectors.odd_one_out(odd))
    word, among = str(cfg.most_similar.word), _words(cfg.most_similar.among)
    ask(f"most similar to {word} among {', '.join(among)}", lambda: vectors.most_similar_among(word, among))
    Console().print(table)


def _words(node: ListConfig) -> list[str]:
    """YAML reads a word such as 2020 as a number."""
    return [str(word) for word in node]


if __name__ == "__main__":
    run(main)
