"""What the other packages of the speed table compute. PEER_PYTHON: a Python that has them, if it is not this one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

PYTHON = os.environ.get("PEER_PYTHON", sys.executable)
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "benchmark_peers.py"
NEEDED = ["sentence_transformers", "model2vec", "datasets", "accelerate"]
GROUPS = [["Mount a DISK", "attach a disk", "disk mounting"], ["free memory", "memory left"]]


def measured(job, **settings):
    """What a job prints; the test is skipped where the Python lacks its packages."""
    missing = f"import importlib.util, sys; print(*(n for n in {NEEDED} if importlib.util.find_spec(n) is None))"
    if lacking := subprocess.run([PYTHON, "-c", missing], capture_output=True, text=True, check=True).stdout.strip():
        pytest.skip(f"{PYTHON} lacks {lacking}; PEER_PYTHON names another one")
    result = subprocess.run([PYTHON, SCRIPT, job, json.dumps(settings)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_words_are_split_as_ours_are():
    pytest.importorskip("tokenizers")
    spec = importlib.util.spec_from_file_location("benchmark_peers", SCRIPT)
    peers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peers)
    tokenizer = peers.word_tokenizer(["disk?", "mount", "x-y"])
    assert tokenizer.encode("Mount  x-y DISK? disk").ids == [1, 2, 0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("bf16", [False, True])
def test_its_trainer_learns_pairs_of_the_first_question_with_the_others(tmp_path, bf16):
    (tmp_path / "train.tsv").write_text("".join("\t".join(group) + "\n" for group in GROUPS))
    settings = {"groups": str(tmp_path / "train.tsv"), "dim": 8, "batch_size": 3, "bf16": bf16}
    trained = measured("train", steps=1, **settings)  # a batch of all three pairs, in some order
    words = sorted({word for group in GROUPS for text in group for word in text.lower().split()})
    assert trained["words"] == len(words) and trained["rate"] > 0

    torch.manual_seed(0)
    table = torch.nn.EmbeddingBag(len(words) + 1, 8).weight.detach().numpy()
    means = {
        text: table[[words.index(word) for word in text.lower().split()]].mean(0) for group in GROUPS for text in group
    }
    pairs = [(group[0], text) for group in GROUPS for text in group[1:]]
    anchors, positives = (np.stack([means[pair[side]] for pair in pairs]) for side in (0, 1))
    anchors, positives = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (anchors, positives))
    likelihoods = np.exp(anchors @ positives.T / 0.05)
    by_hand = -np.log(np.diag(likelihoods) / likelihoods.sum(axis=1)).mean()
    assert trained["loss"] == pytest.approx(by_hand, rel=0.02 if bf16 else 1e-4)
    assert measured("train", steps=40, **settings)["loss"] < by_hand  # the mean over the steps


@pytest.mark.slow
def test_its_trainer_is_timed_until_it_ranks_well_enough(tmp_path):
    rows = [["Mount a DISK", "attach a disk", "free memory"], ["memory left", "free memory", "attach a disk"]]
    for name, lines in (("train", GROUPS), ("validation", rows)):
        (tmp_path / f"{name}.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    files = {"groups": str(tmp_path / "train.tsv"), "validation": str(tmp_path / "validation.tsv")}
    reached = measured("to_quality", **files, mrr=0.9, dim=8, tokenizer=None)
    assert reached["mrr"] >= 0.9 and reached["seconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["model2vec", "sentence-transformers"])
def test_they_encode_texts(tmp_path, peer):
    (tmp_path / "texts.txt").write_text("mount a disk\nfree memory\n" * 20)
    (tmp_path / "words.txt").write_text("mount\ndisk\nmemory\n")
    settings = {"peer": peer, "dim": 8, "texts": str(tmp_path / "texts.txt"), "words": str(tmp_path / "words.txt")}
    rates = measured("encode", **settings)
    assert set(rates) == {"first", "again"} and min(rates.values()) > 0
