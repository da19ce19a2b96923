"""Shows whether word vectors are what they should be: known words, an analogy, the odd one out, the most similar."""

import hydra
from omegaconf import DictConfig, ListConfig

from askagain.apps.command import one_line_errors, run


@hydra.main(version_base="1.3", config_path="../configs", config_name="inspect_vectors")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Prints one row a question."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from askagain.vectors import sanity

    vectors = hydra.utils.instantiate(cfg.vectors)
    table = Table("question", "answer", title=f"{vectors.name}: {len(vectors)} words x {vectors.dim}")
    for check in (
        *sanity.known_words(vectors, _words(cfg.known_words)),
        sanity.analogy(vectors, _words(cfg.analogy.positive), _words(cfg.analogy.negative), cfg.analogy.count),
        sanity.odd_one_out(vectors, _words(cfg.odd_one_out)),
        sanity.most_similar(vectors, str(cfg.most_similar.word), _words(cfg.most_similar.among)),
    ):
        table.add_row(escape(check.question), escape(check.answer))
    Console().print(table)


def _words(node: ListConfig) -> list[str]:
    """YAML reads a word such as 2020 as a number."""
    return [str(word) for word in node]


if __name__ == "__main__":
    run(main)
