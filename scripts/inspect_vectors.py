"""Asks word vectors questions with a known answer: `python scripts/inspect_vectors.py vectors=glove_50`."""

from collections.abc import Callable, Sequence

import hydra
from omegaconf import DictConfig, ListConfig

from askagain.apps.command import one_line_errors, run
from askagain.vectors.word_vectors import WordVectors


@hydra.main(version_base="1.3", config_path="../configs", config_name="inspect_vectors")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Prints a table of questions and answers."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    vectors: WordVectors = hydra.utils.instantiate(cfg.vectors)
    table = Table("question", "answer", title=f"{vectors.name}: {len(vectors)} words x {vectors.dim}")

    def ask(question: str, words: Sequence[str], answer: Callable[[], str]) -> None:
        unknown = [word for word in words if word not in vectors]
        said = f"no answer: {vectors.name} does not know {', '.join(unknown)}" if unknown else answer()
        table.add_row(escape(question), escape(said))

    for word in _words(cfg.known_words):
        table.add_row(escape(f"is '{word}' known?"), "yes" if word in vectors else "no")
    positive, negative, odd = map(_words, (cfg.analogy.positive, cfg.analogy.negative, cfg.odd_one_out))
    word, among = str(cfg.most_similar.word), _words(cfg.most_similar.among)
    nearest = lambda: vectors.keyed.most_similar(positive, negative, cfg.analogy.count)  # noqa: E731
    ask(
        " - ".join([" + ".join(positive), *negative]),
        [*positive, *negative],
        lambda: ", ".join(f"{word} ({cosine:.3f})" for word, cosine in nearest()),
    )
    ask(f"odd one out of {', '.join(odd)}", odd, lambda: vectors.keyed.doesnt_match(odd))
    ask(
        f"most similar to {word} among {', '.join(among)}",
        [word, *among],
        lambda: vectors.keyed.most_similar_to_given(word, among),
    )
    Console().print(table)


def _words(node: ListConfig) -> list[str]:
    """YAML reads a word such as 2020 as a number."""
    return [str(word) for word in node]


if __name__ == "__main__":
    run(main)
