"""A made-up dump of a Stack Exchange site, of any size: for measuring, not for training."""

import random
from collections.abc import Iterator
from html import escape
from pathlib import Path

QUESTIONS_A_BLOCK = 1_000  # that are made once, and then written again with other numbers
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ONE_IN = 20  # questions that duplicate the one before


def write_dump(folder: Path, megabytes: int, seed: int = 0) -> None:
    """Writes Posts.xml of about this size and PostLinks.xml into a new folder.

    A question is followed by two answers, as on most sites; a body has two paragraphs and a block of code.
    """
    rng = random.Random(seed)
    words = ["".join(rng.choices(LETTERS, k=rng.randint(2, 10))) for _ in range(20_000)]
    block = [_question(rng, words) for _ in range(QUESTIONS_A_BLOCK)]
    folder.mkdir(parents=True)
    duplicates: list[int] = []
    with (folder / "Posts.xml").open("w", encoding="utf-8", newline="\n") as file:
        file.write('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        written = post = 0
        while written < megabytes * 10**6:
            for title, rows in block:
                post += 3
                if rng.randrange(ONE_IN) == 0 and post > 3:
                    duplicates.append(post)
                text = rows.format(post, post + 1, post + 2, title=f"{title} {post}")
                written += len(text)
                file.write(text)
        file.write("</posts>\n")
    with (folder / "PostLinks.xml").open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<postlinks>\n')
        for number, post in enumerate(duplicates):
            file.write(f'  <row Id="{number}" PostId="{post}" RelatedPostId="{post - 3}" LinkTypeId="3" />\n')
        file.write("</postlinks>\n")


def _question(rng: random.Random, words: list[str]) -> tuple[str, str]:
    """A title, and the rows of a question and its answers, in which three numbers and the title are to be put."""
    title = " ".join(_words(rng, words, 8))
    rows = [
        f'  <row Id="{{0}}" PostTypeId="1" CreationDate="2014-01-21T20:26:05.383" Score="3" Body="{_body(rng, words)}" '
        f'OwnerUserId="7" Title="{{title}}" Tags="&lt;{words[0]}&gt;&lt;{words[1]}&gt;" AnswerCount="2" />\n'
    ]
    for place in (1, 2):
        rows.append(
            f'  <row Id="{{{place}}}" PostTypeId="2" ParentId="{{0}}" CreationDate="2014-01-22T20:26:05.383" Score="1" '
            f'Body="{_body(rng, words)}" OwnerUserId="8" />\n'
        )
    return title, "".join(rows)


def _body(rng: random.Random, words: list[str]) -> str:
    paragraphs = [f"<p>{' '.join(_words(rng, words, 45))} <code>{rng.choice(words)}</code></p>\n" for _ in range(2)]
    code = "\n".join(" ".join(_words(rng, words, 5)) for _ in range(4))
    return escape(f"{paragraphs[0]}<pre><code>{code}\n</code></pre>\n{paragraphs[1]}").replace("\n", "&#xA;")


def _words(rng: random.Random, words: list[str], count: int) -> Iterator[str]:
    # Half of all words are among a hundredth of them, as in a language.
    return (words[int(len(words) * rng.random() ** 4)] for _ in range(count))
