"""Texts that are alike have one hash, whatever their tokens, in C and in Python."""

import numpy as np
import pytest

from askagain.corpus.alike import AlikeTokens
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


def test_hashes_are_equal_where_the_keys_are(kernels):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    texts = [rng.integers(0, len(TOKENS), size).tolist() for size in rng.integers(1, 6, 4000)]
    hashes = AlikeTokens(TOKENS).hashes(Bags.from_lists(texts)).tolist()
    keys = [alike_key(title_of(" ".join(TOKENS[token] for token in text))) for text in texts]
    assert len(set(zip(keys, hashes, strict=True))) == len(set(keys)) == len(set(hashes)) > 500
    assert AlikeTokens([]).hashes(Bags.from_lists([])).tolist() == []
    assert AlikeTokens(TOKENS).hashes(Bags.from_lists([[], [0]])).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_hashes_are_those_of_the_plain_way(dtype, kernels):
    texts = Bags.from_lists([[4, 1], [1], [16, 8, 10, 2], [], [15]])
    tokens = AlikeTokens(TOKENS)
    expected = tokens._mixed(texts.expand(tokens._parts))
    hashes = tokens.hashes(Bags(texts.ids.astype(dtype), texts.offsets))
    assert hashes.tolist() == expected.tolist() and len(set(hashes.tolist())) == 4


def test_a_token_that_is_not_there_is_refused(kernels):
    for token in (len(TOKENS), -1) if kernels == "auto" else (len(TOKENS),):
        with pytest.raises(IndexError):
            AlikeTokens(TOKENS).hashes(Bags(np.array([token], dtype=np.int32), np.array([0, 1])))
