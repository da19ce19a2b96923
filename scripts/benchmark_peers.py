"""Measures static encoders of other packages, for `scripts/benchmark.py`; runs in the Python that has them.

`benchmark_peers.py JOB ARGUMENTS`; ARGUMENTS is a JSON object. Prints the measurements as JSON. Needs tokenizers and
the package that is measured, and datasets and accelerate for training, but not askagain.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def encode(peer: str, texts: str, words: str, dim: int) -> dict[str, float]:
    """Texts a second from strings to vectors with a random table: when the texts are new, and once more.

    `peer`: model2vec or sentence-transformers. `texts`, `words`: files with one text and one known word a line.
    """
    import numpy as np

    lines, known = (Path(path).read_text(encoding="utf-8").splitlines() for path in (texts, words))
    tokenizer = word_tokenizer(known)
    table = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), dim)).astype(np.float32)
    if peer == "model2vec":
        from model2vec import StaticModel

        vectors_of = StaticModel(table, tokenizer).encode
    else:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding

        model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
        vectors_of = partial(model.encode, batch_size=2048, show_progress_bar=False)
    vectors_of(lines[:10])
    rates = []
    for _ in range(2):
        began = time.perf_counter()
        vectors_of(lines)
        rates.append(len(lines) / (time.perf_counter() - began))
    return {"first": rates[0], "again": rates[1]}


def train(groups: str, dim: int, batch_size: int, steps: int, bf16: bool) -> dict[str, float]:
    """Pairs a second of sentence-transformers' trainer with a `StaticEmbedding`, and the mean loss of its steps.

    `groups`: a file with a group of duplicates a line, tab-separated; the first text of a group is paired with every
    other. The loss is `MultipleNegativesRankingLoss` with a temperature of 0.05.
    """
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    with Path(groups).open(encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    tokenizer = word_tokenizer(sorted({word for row in rows for text in row for word in text.lower().split()}))
    anchors = [row[0] for row in rows for _ in row[1:]]
    positives = [text for row in rows for text in row[1:]]
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=dim)], device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=batch_size,
                learning_rate=0.2,
                warmup_steps=0.1,  # below 1: a share of the steps
                bf16=bf16,
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"anchor": anchors, "positive": positives}),
            loss=MultipleNegativesRankingLoss(model, scale=20.0),
        )
        began = time.perf_counter()
        loss = trainer.train().training_loss
        seconds = time.perf_counter() - began
    return {"rate": steps * batch_size / seconds, "loss": loss, "words": tokenizer.get_vocab_size() - 1}


def word_tokenizer(words: Iterable[str]) -> "Tokenizer":
    """Splits lower-cased texts at white space; ids are the places of `words`, and one more for all other words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    ids = {word: number for number, word in enumerate([*words, "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.no_truncation()
    return tokenizer


JOBS: dict[str, Callable[..., dict[str, float]]] = {"encode": encode, "train": train}


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
