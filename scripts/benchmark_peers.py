"""Measures static encoders of other packages, for `scripts/benchmark.py`; runs in the Python that has them.

`benchmark_peers.py JOB ARGUMENTS`; ARGUMENTS is a JSON object. Prints the measurements as JSON. Needs tokenizers and
the package that is measured, and datasets and accelerate for training, but not askagain. What is found is written as
files of row numbers. Each job imports what it needs before its clock starts; that of loading starts outside.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SINGLE_QUESTIONS = 200  # that are asked one by one
BATCH = 2048  # texts that sentence-transformers encodes together
PAIRS_A_BATCH, LEARNING_RATE = 2048, 0.5  # of 512 and 2,048, 0.2 and 0.5: what ranks well the soonest
PAIRS_A_GROUP = 30  # that are trained on, as ours are


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
        vectors_of = partial(model.encode, batch_size=BATCH, show_progress_bar=False)
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
    other.
    """
    rows = [line.split("\t") for line in _lines(groups)]
    pairs = [(row[0], text) for row in rows for text in row[1:]]
    trainer = _trainer(pairs, dim, batch_size, max_steps=steps, learning_rate=0.2, bf16=bf16)
    words = trainer.model.tokenizer.get_vocab_size() - 1
    began = time.perf_counter()
    loss = trainer.train().training_loss
    seconds = time.perf_counter() - began
    return {"rate": steps * batch_size / seconds, "loss": loss, "words": words}


def _trainer(
    pairs: list[tuple[str, str]],
    dim: int,
    batch_size: int,
    tokenizer: str | None = None,
    callbacks: Sequence[Any] = (),
    **arguments: Any,
) -> Any:
    """sentence-transformers' trainer of a `StaticEmbedding`; the loss is `MultipleNegativesRankingLoss` over 0.05.

    `tokenizer`: a tokenizer.json (None: words between spaces). `arguments`: of its training.
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
    from tokenizers import Tokenizer

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    if tokenizer is None:
        split = word_tokenizer(sorted({word for pair in pairs for text in pair for word in text.lower().split()}))
    else:
        split = Tokenizer.from_file(tokenizer)
        split.no_truncation()
        split.no_padding()
    on_gpu = torch.cuda.is_available()
    model = SentenceTransformer(modules=[StaticEmbedding(split, embedding_dim=dim)], device="cuda" if on_gpu else "cpu")
    return SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=tempfile.gettempdir(),  # nothing is written there
            per_device_train_batch_size=batch_size,
            warmup_steps=0.1,  # below 1: a share of the steps
            use_cpu=not on_gpu,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **arguments,
        ),
        train_dataset=Dataset.from_list([{"anchor": anchor, "positive": positive} for anchor, positive in pairs]),
        loss=MultipleNegativesRankingLoss(model, scale=20.0),
        callbacks=list(callbacks),
    )


def to_quality(
    groups: str, validation: str, mrr: float, dim: int, tokenizer: str | None, epochs: int = 20
) -> dict[str, float]:
    """Trains until the validation rows have an MRR, and prints that of each epoch; ends with status 1 if none has it.

    Args:
        groups: a file with a group of duplicates a line; up to 30 pairs of each are trained on.
        validation: a file with a question, its duplicate and others in each line; ties count as their mean.
        mrr: what has to be reached.
        dim: numbers of a vector.
        tokenizer: a tokenizer.json (None: words between spaces).
        epochs: that are tried.
    """
    from transformers import TrainerCallback

    began = time.perf_counter()
    rows, ranked = ([line.split("\t") for line in _lines(path)] for path in (groups, validation))
    pairs = [pair for row in rows for pair in islice(combinations(row, 2), PAIRS_A_GROUP)]
    reached: list[float] = []

    class Rank(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            mean = _mrr(others["model"], ranked)
            print(json.dumps({"epoch": round(state.epoch), "mrr": mean}), flush=True)
            if mean >= mrr:
                reached.append(mean)
                control.should_training_stop = True

    settings = {"num_train_epochs": epochs, "learning_rate": LEARNING_RATE}
    _trainer(pairs, dim, PAIRS_A_BATCH, tokenizer, [Rank()], **settings).train()
    if not reached:
        sys.exit(f"no epoch has an MRR of {mrr}")
    return {"seconds": time.perf_counter() - began, "mrr": reached[0]}


def _mrr(model: Any, rows: list[list[str]]) -> float:
    """The mean of one over the rank of the second text of each row among all but the first."""
    import numpy as np

    places: dict[str, int] = {}
    numbers = [[places.setdefault(text, len(places)) for text in row] for row in rows]
    vectors = model.encode(list(places), batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
    reciprocals = []
    for asked, *others in numbers:
        scores = vectors[others] @ vectors[asked]
        above, level = int((scores[1:] > scores[0]).sum()), int((scores[1:] == scores[0]).sum())
        reciprocals.append(np.mean(1 / (above + 1 + np.arange(level + 1))))
    return float(np.mean(reciprocals))


def search(model: str, texts: str, questions: str, k: int, out: str) -> dict[str, float]:
    """Loads a folder of sentence-transformers, encodes texts and answers questions with `semantic_search`.

    Args:
        model: the folder, whose vectors have length 1.
        texts: a file with a text a line.
        questions: a file with a question a line.
        k: answers to a question.
        out: a folder for `hits.npy`, [questions, k] int32 rows.

    Returns:
        `seconds` from loading to the last answer, questions a second once the texts are encoded (`rate`), and the
        median milliseconds of a single question (`latency`).
    """
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import dot_score, semantic_search

    corpus, asked = _lines(texts), _lines(questions)
    began = time.perf_counter()
    encoder = SentenceTransformer(model, device="cpu")

    def encode(block: list[str]) -> "Tensor":
        return encoder.encode(block, batch_size=BATCH, convert_to_tensor=True, show_progress_bar=False)

    vectors = encode(corpus)

    def answers(block: list[str]) -> list[list[dict[str, float]]]:
        return semantic_search(encode(block), vectors, top_k=k, score_function=dot_score)

    indexed = time.perf_counter()
    hits = answers(asked)
    answered = time.perf_counter()
    single = []
    for question in asked[:SINGLE_QUESTIONS]:
        asked_at = time.perf_counter()
        answers([question])
        single.append(time.perf_counter() - asked_at)
    np.save(Path(out) / "hits.npy", np.array([[hit["corpus_id"] for hit in own] for own in hits], dtype=np.int32))
    return {
        "seconds": answered - began,
        "rate": len(asked) / (answered - indexed),
        "latency": 1e3 * statistics.median(single),
    }


def paraphrase_mining(model: str, texts: str, thresholds: list[float], out: str) -> dict[str, float]:
    """Seconds from loading a folder of sentence-transformers to the pairs of `paraphrase_mining`, with its defaults.

    Args:
        model: the folder.
        texts: a file with a text a line.
        thresholds: the least cosines of pairs; what each one leaves is written.
        out: a folder for `0.npy` and so on, one for each threshold: [pairs, 2] int32 rows.
    """
    import numpy as np
    from sentence_transformers import SentenceTransformer, util

    corpus = _lines(texts)
    began = time.perf_counter()
    pairs = util.paraphrase_mining(SentenceTransformer(model, device="cpu"), corpus, batch_size=BATCH)
    seconds = time.perf_counter() - began
    for place, threshold in enumerate(thresholds):
        rows = [(one, other) for score, one, other in pairs if score >= threshold]
        np.save(Path(out) / f"{place}.npy", np.array(rows, dtype=np.int32).reshape(-1, 2))
    return {"seconds": seconds}


def semhash(model: str, texts: str, thresholds: list[float], out: str) -> dict[str, float]:
    """Seconds from loading a folder of model2vec to what SemHash leaves out at the first threshold.

    Args:
        model: the folder.
        texts: a file with a text a line, all different.
        thresholds: of `self_deduplicate`, and then of `rethreshold`, ascending; what each one leaves out is written.
        out: a folder for `0.npy` and so on, one for each threshold: [texts left out, 2] int32 rows, the kept one first.
    """
    import numpy as np
    from model2vec import StaticModel
    from semhash import SemHash

    corpus = _lines(texts)
    began = time.perf_counter()
    encoder: Any = StaticModel.from_pretrained(model)
    hashed = SemHash.from_records(corpus, model=encoder)
    result = hashed.self_deduplicate(threshold=thresholds[0])
    seconds = time.perf_counter() - began
    places = {text: place for place, text in enumerate(corpus)}
    for place, threshold in enumerate(thresholds):
        if place:
            result.rethreshold(threshold)
        rows = [(places[one.duplicate_of], places[one.record]) for one in result.filtered]
        np.save(Path(out) / f"{place}.npy", np.array(rows, dtype=np.int32).reshape(-1, 2))
    return {"seconds": seconds}


def load(model: str, text: str) -> dict[str, float]:
    """The length of the vector of a text, by a folder of model2vec; the process is timed from outside."""
    from model2vec import StaticModel

    return {"dim": StaticModel.from_pretrained(model).encode([text]).shape[1]}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")


def word_tokenizer(words: Iterable[str]) -> "Tokenizer":
    """Splits lower-cased texts at white space; ids are the places of `words`, and one more for all other words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    ids = {word: number for number, word in enumerate([*words, "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.no_truncation()
    return tokenizer


JOBS: dict[str, Callable[..., dict[str, float]]] = {
    job.__name__: job for job in (encode, train, to_quality, search, paraphrase_mining, semhash, load)
}


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)
