"""The plain way of preparing, training and evaluating, as a contender of the benchmarks.

It is what one writes without a thought of speed, and uses nothing of askagain: texts are lists of strings that one step
after the other loops over, Adam updates the whole table at every step, and the evaluation goes through the rows and
embeds each candidate where it stands.

`python -m askagain.benchmarks.plain_way JOB FILE ARGUMENTS`: FILE is tab-separated, ARGUMENTS a JSON object. Prints the
measurements as JSON.
"""

import json
import random
import re
import string
import sys
import time
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from xml.etree import ElementTree

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.metrics.pairwise import cosine_similarity

if TYPE_CHECKING:  # preparing a corpus needs no PyTorch, whose memory would be measured
    from torch import Tensor, nn

Metrics: TypeAlias = dict[str, float]
Pair: TypeAlias = tuple[list[int], list[int]]  # the word ids of two duplicates

PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
TEMPERATURE = 0.05
LEARNING_RATE = 0.01


def prepare(path: Path) -> Metrics:
    """Seconds from a file of groups to a vocabulary and all pairs of duplicates."""
    began = time.perf_counter()
    pairs, vocabulary = pairs_and_vocabulary(path)
    return {"seconds": time.perf_counter() - began, "pairs": len(pairs), "words": len(vocabulary)}


def train(path: Path, dim: int, batch_size: int, steps: int) -> Metrics:
    """Pairs a second of `steps` steps of training, after a first one that is not timed, and the loss of each step."""
    import torch

    pairs, vocabulary = pairs_and_vocabulary(path)
    torch.manual_seed(0)
    generator = random.Random(0)
    bag = torch.nn.EmbeddingBag(len(vocabulary), dim)
    optimizer = torch.optim.Adam(bag.parameters(), lr=LEARNING_RATE)

    def step() -> float:
        loss = nt_xent(bag, generator.choices(pairs, k=batch_size))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    first_loss = step()
    began = time.perf_counter()
    for _ in range(steps):
        last_loss = step()
    rate = steps * batch_size / (time.perf_counter() - began)
    return {"rate": rate, "first_loss": first_loss, "last_loss": last_loss, "words": len(vocabulary)}


def score(path: Path, dim: int, rows: int) -> Metrics:
    """Seconds a row of ranking the candidates of the first `rows` rows by random word vectors, and their MRR.

    A later epoch takes as long as the first: nothing is kept.
    """
    ranked = read_rows(path, rows)
    vectors = random_vectors(ranked, dim)
    began = time.perf_counter()
    ranks = [rank_of_duplicate(row, vectors) for row in ranked]
    seconds = (time.perf_counter() - began) / len(ranks)
    return {"first": seconds, "later": seconds, "mrr": sum(1 / rank for rank in ranks) / len(ranks), "rows": len(ranks)}


def read_rows(path: Path, limit: int | None = None) -> list[list[str]]:
    """The texts of each line of a file."""
    with path.open(encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in islice(file, limit)]


def clean(text: str) -> str:
    """Lower case, no punctuation, no stop words, single spaces."""
    words = PUNCTUATION.sub(" ", text.lower()).split()
    return " ".join(word for word in words if word not in ENGLISH_STOP_WORDS)


def pairs_and_vocabulary(path: Path) -> tuple[list[Pair], dict[str, int]]:
    """All pairs of texts of each group, as ids of their words, and the id of each word."""
    groups = [[clean(text) for text in row] for row in read_rows(path)]
    words = dict.fromkeys(word for group in groups for text in group for word in text.split())
    vocabulary = {word: number for number, word in enumerate(words)}
    pairs: list[Pair] = []
    for group in groups:
        ids = [[vocabulary[word] for word in text.split()] for text in group]
        pairs += combinations(ids, 2)
    return pairs, vocabulary


def nt_xent(bag: "nn.EmbeddingBag", pairs: list[Pair]) -> "Tensor":
    """The mean cross entropy of telling each text's duplicate from the other pairs, in both directions."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    queries = normalize(bag(*ids_and_offsets([query for query, _ in pairs])))
    positives = normalize(bag(*ids_and_offsets([positive for _, positive in pairs])))
    logits = queries @ positives.T / TEMPERATURE  # [pairs, pairs]
    targets = torch.arange(len(pairs))
    return (cross_entropy(logits, targets) + cross_entropy(logits.T, targets)) / 2


def ids_and_offsets(texts: list[list[int]]) -> tuple["Tensor", "Tensor"]:
    """The word ids of all texts, one text after the other, and where each text begins."""
    import torch

    ids: list[int] = []
    offsets = []
    for text in texts:
        offsets.append(len(ids))
        ids.extend(text)
    return torch.tensor(ids), torch.tensor(offsets)


def convert(path: Path) -> Metrics:
    """Seconds from the Posts.xml of a dump to its questions as JSON Lines, bodies as text; links are not joined."""
    began = time.perf_counter()
    questions = []
    for _, row in ElementTree.iterparse(path):
        if row.tag == "row" and row.get("PostTypeId") == "1":
            body = TextOf()
            body.feed(row.get("Body", ""))
            questions.append({"id": row.get("Id"), "title": row.get("Title"), "body": " ".join(body.parts)})
        row.clear()
    with path.with_name("plain.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(question) + "\n" for question in questions)
    return {"seconds": time.perf_counter() - began, "questions": len(questions)}


class TextOf(HTMLParser):
    """Collects the text of a page in `parts`."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def random_vectors(rows: list[list[str]], dim: int) -> dict[str, np.ndarray]:
    """A vector, [dim] float32, for each word of the texts."""
    words = dict.fromkeys(word for row in rows for text in row for word in text.lower().split())
    generator = np.random.default_rng(0)
    return {word: generator.standard_normal(dim).astype(np.float32) for word in words}


def rank_of_duplicate(row: list[str], vectors: Mapping[str, np.ndarray]) -> int:
    """The rank by cosine of the duplicate, the second text of a row, among all texts but the first."""
    question = embed(row[0], vectors)
    scores = [cosine_similarity([question], [embed(candidate, vectors)])[0, 0] for candidate in row[1:]]
    return 1 + sum(score > scores[0] for score in scores[1:])


def embed(text: str, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean vector of the words of a text, [dim]."""
    return np.mean([vectors[word] for word in text.lower().split()], axis=0)


JOBS: dict[str, Callable[..., Metrics]] = {job.__name__: job for job in (prepare, train, score, convert)}


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](Path(sys.argv[2]), **json.loads(sys.argv[3]))))
