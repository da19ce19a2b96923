"""Texts that are alike have one hash, whatever their tokens, in C and in Python."""

import numpy as np
import pytest

from askagain.corpus.alike import AlikeTokens
from askagain.native import library, store
from askagain.text.bags import Bags
from askagain.text.fields import title_of
from askagain.text.terms import alike_key

SEED = 13
TOKENS = [
    "",
    "?",
    "?!",
    "...",
    "a",
    "A",
    "a?",
    "a?b",
    "Straße",
    "STRASSE",
    "b\xa0c",
    "b",
    "c",
    "\u3000",
    "x。",
    "\ufdd1tag",
    "Σας",
]


@pytest.fixture(params=["auto", "plain"])
def kernels(request, tmp_path_factory):
    library.use(request.param, tmp_path_factory.getbasetemp() / "native")
    if request.param == "auto" and store._library.loaded(wait=True) is None:
        pytest.skip("this machine has no compiler")
    yield request.param
    library.use()


def test_hashes_are_equal_where_the_keys_are(kernels):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    texts = [rng.integers(0, len(TOKENS), size).tolist() for size in rng.integers(1, 6, 4000)]
    hashes = AlikeTokens(TOKENS).hashes(Bags.from_lists(texts)).tolist()
    keys = [alike_key(title_of(" ".join(TOKENS[token] for token in text))) for text in texts]
    assert len(set(zip(keys, hashes, strict=True))) == len(set(keys)) == len(set(hashes)) > 500
    assert AlikeTokens([]).hashes(Bags.from_lists([])).tolist() == []
    assert AlikeTokens(TOKENS).hashes(Bags.from_lists([[], [0]])).tolist() == [0, 0]


def test_hashes_are_the_same_in_c_and_in_python(tmp_path):
    texts = Bags.from_lists([[4, 1], [1], [16, 8, 10, 2], [], [15]])
    found = []
    for choice in ("auto", "plain"):
        library.use(choice, tmp_path)
        if choice == "auto" and store._library.loaded(wait=True) is None:
            pytest.skip("this machine has no compiler")
        found.append(AlikeTokens(TOKENS).hashes(texts).tolist())
    library.use()
    assert found[0] == found[1] and len(set(found[0])) == 4


def test_a_token_that_is_not_there_is_refused(kernels):
    for token in (len(TOKENS), -1) if kernels == "auto" else (len(TOKENS),):
        with pytest.raises(IndexError):
            AlikeTokens(TOKENS).hashes(Bags(np.array([token], dtype=np.int32), np.array([0, 1])))
