"""Measures texts a second of another static encoder, for `scripts/benchmark.py`; runs in the Python that has it.

benchmark_peers.py PEER TEXTS WORDS DIM: PEER is model2vec or sentence-transformers, TEXTS a file with one text a line,
WORDS a file with one word of the vocabulary a line. Prints a JSON object. Needs the peer and tokenizers, but not
askagain.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def rates(encode: Callable[[list[str]], object], texts: list[str]) -> dict[str, float]:
    """Texts a second when they are new, and once more."""
    encode(texts[:10])
    measured = []
    for _ in range(2):
        began = time.perf_counter()
        encode(texts)
        measured.append(len(texts) / (time.perf_counter() - began))
    return {"first": measured[0], "again": measured[1]}


def main() -> None:
    """Measures a peer with a random table and a tokenizer that knows the words."""
    import numpy as np
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    texts, words = (Path(path).read_text(encoding="utf-8").splitlines() for path in sys.argv[2:4])
    vocabulary = {word: number for number, word in enumerate([*words, "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.no_truncation()
    table = np.random.default_rng(0).standard_normal((len(vocabulary), int(sys.argv[4]))).astype(np.float32)
    if sys.argv[1] == "model2vec":
        from model2vec import StaticModel

        encode = StaticModel(table, tokenizer).encode
    else:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding

        peer = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
        encode = partial(peer.encode, batch_size=2048, show_progress_bar=False)
    print(json.dumps(rates(encode, texts)))


if __name__ == "__main__":
    main()
