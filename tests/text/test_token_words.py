"""Words are counted as by a Counter; of too many the rarest are forgotten."""

import logging
from collections import Counter

import numpy as np
import pytest

from askagain.text import token_words as module
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.token_words import TokenWords, token_words

SEED = 5
CLEAN = TextPreprocessor("?.")


def made_tokens(distinct: int) -> dict[str, int]:
    """Tokens and how often each occurs, frequent ones first; many have a word in common, and some have two."""
    rng = np.random.default_rng(SEED)
    tokens = [f"w{i}{end}" for i in range(distinct) for end in ("", "?", f".w{i // 2}")]
    return dict(zip(tokens, np.sort(rng.zipf(1.3, len(tokens)).clip(max=10_000))[::-1].tolist(), strict=True))


def counted(tokens: dict[str, int], **settings) -> TokenWords:
    return token_words(iter(tokens), np.array(list(tokens.values())), CLEAN, **settings)


def plain_counts(tokens: dict[str, int]) -> Counter:
    counts: Counter = Counter()
    for token, count in tokens.items():
        for word in CLEAN.words(token):
            counts[word] += count
    return counts


def test_words_are_counted_as_by_a_counter(monkeypatch):
    print(f"seed {SEED}")
    monkeypatch.setattr(module, "TOKENS_PER_BLOCK", 50)
    tokens = made_tokens(400)
    found = counted(tokens)
    assert dict(zip(found.words, found.counts.tolist(), strict=True)) == plain_counts(tokens)
    for number, token in enumerate(tokens):
        assert [found.words[i] for i in found.bags.bag(number).tolist()] == CLEAN.words(token)


@pytest.mark.parametrize("most", [1, 40, 300, 399])
def test_the_rarest_words_are_forgotten_and_the_others_are_as_before(most, monkeypatch, caplog):
    monkeypatch.setattr(module, "TOKENS_PER_BLOCK", 20)
    tokens = made_tokens(400)
    with caplog.at_level(logging.WARNING):
        found = counted(tokens, most_words=most)
    expected = plain_counts(tokens)
    assert len(found.words) == len(set(found.words)) == most
    counts = dict(zip(found.words, found.counts.tolist(), strict=True))
    assert all(count <= expected[word] for word, count in counts.items())
    assert f"more than {most:,} different words: " in caplog.text and "were forgotten" in caplog.text
    kept = [(token, word) for token in tokens for word in CLEAN.words(token) if word in counts]
    in_bags = [(token, found.words[i]) for n, token in enumerate(tokens) for i in found.bags.bag(n).tolist()]
    assert set(in_bags) <= set(kept) and len(found.bags) == len(tokens)
    # Most of the counts that the best words have are found, though each was met in several tokens.
    best = sum(count for _, count in expected.most_common(most))
    assert found.total >= 0.9 * best
    for word in set(counts) & {word for word, _ in expected.most_common(most // 2)}:
        assert counts[word] == sum(tokens[token] for token, own in in_bags if own == word)


def test_no_more_words_are_known_at_a_time_than_half_as_many_again(monkeypatch):
    monkeypatch.setattr(module, "TOKENS_PER_BLOCK", 10)
    sizes = []
    forget = module._WordCounter.forget

    def watched(counter) -> None:
        sizes.append(len(counter.index))
        forget(counter)

    monkeypatch.setattr(module._WordCounter, "forget", watched)
    counted({f"w{i}": 1 for i in range(5000)}, most_words=100)
    assert len(sizes) > 50 and max(sizes) <= 150 + 10


def test_words_that_are_kept_stay_in_the_order_of_their_first_use():
    tokens = {f"w{number}": 1 + number * 7 % 10 for number in range(100)}
    found = counted(tokens, most_words=40)
    assert found.words == [word for word, count in tokens.items() if count > 6]
    assert found.counts.tolist() == [count for count in tokens.values() if count > 6]


def test_nothing_is_said_where_nothing_is_forgotten(caplog):
    with caplog.at_level(logging.WARNING):
        found = counted({"a": 1, "b?": 2, "a?": 3}, most_words=2)
    assert found.words == ["a", "b"] and found.counts.tolist() == [4, 2] and not caplog.records
    assert found.bags.offsets.tolist() == [0, 1, 2, 3]
    assert len(counted({}).words) == 0
