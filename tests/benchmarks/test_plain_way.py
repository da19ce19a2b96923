"""The plain way gives the same results as askagain, so that their times can be compared."""

import string

import numpy as np
import pytest
import torch

from askagain.benchmarks import jobs, plain_way
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.models.bag_encoder import BagEncoder
from askagain.synthetic.scaled import write_scaled
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from askagain.training.losses.nt_xent import NTXentLoss

SEED = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A synthetic corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    write_scaled(folder, rows=300, validation_rows=25, candidates=40, pool=100, seed=SEED, vocabulary=500)
    return folder


def corpus_of(folder, **cleaning) -> Corpus:
    return Corpus(CorpusFiles.locate(folder), TextPreprocessor(**cleaning), Cache(folder / "cache"), "error")


def test_groups_become_all_pairs_of_word_ids(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("How to mount a Disk?\tmount: disk, disk\tDISK\nwhy me\tmount it\n")
    pairs, vocabulary = plain_way.pairs_and_vocabulary(path)
    assert vocabulary == {"mount": 0, "disk": 1}  # the others are stop words
    assert pairs == [([0, 1], [0, 1, 1]), ([0, 1], [1]), ([0, 1, 1], [1]), ([], [0])]


def test_it_prepares_as_many_pairs_and_words_as_ours(folder):
    ours = jobs.prepare(corpus_of(folder, characters=string.punctuation, stopwords="sklearn"))
    plain = plain_way.prepare(folder / "train.tsv")
    assert {name: plain[name] for name in ("pairs", "words")} == {name: ours[name] for name in ("pairs", "words")}
    assert plain["pairs"] > 1000 and plain["seconds"] > 0


def test_its_loss_is_that_of_the_definition_and_ours():
    bag = torch.nn.EmbeddingBag(6, 8, _weight=torch.randn(6, 8, generator=torch.Generator().manual_seed(SEED)))
    pairs = [([0, 1], [1, 2, 2]), ([3], [4, 0]), ([5, 5, 1], [2])]
    loss = plain_way.nt_xent(bag, pairs)

    table = bag.weight.detach().numpy().astype(np.float64)
    queries, positives = (np.stack([table[pair[side]].mean(axis=0) for pair in pairs]) for side in (0, 1))
    queries, positives = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, positives))
    likelihoods = np.exp(queries @ positives.T / 0.05)
    own = np.diag(likelihoods)
    by_hand = -(np.log(own / likelihoods.sum(axis=0)) + np.log(own / likelihoods.sum(axis=1))).mean() / 2
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)
    ours = NTXentLoss(temperature=0.05)(torch.tensor(queries).float(), torch.tensor(positives).float())
    assert loss.item() == pytest.approx(ours.item(), rel=1e-5)


def test_its_training_learns_the_pairs(folder):
    trained = plain_way.train(folder / "train.tsv", dim=32, batch_size=64, steps=80)
    assert trained["last_loss"] < trained["first_loss"] / 2
    assert trained["words"] == plain_way.prepare(folder / "train.tsv")["words"]
    assert trained["rate"] > 0


def test_its_ranks_are_ours(folder):
    rows = plain_way.read_rows(folder / "validation.tsv")
    vectors = plain_way.random_vectors(rows, dim=16)
    features = Features("words", WordVocabulary(list(vectors)), NgramTokenizer())
    corpus = corpus_of(folder)
    encoder = BagEncoder(corpus.preprocessor, features, torch.from_numpy(np.stack(list(vectors.values()))))
    metrics, ranks = evaluate_ranking(encoder, corpus.ranking("validation"), [1], "expected")
    assert not ranks.tied.any() and ranks.above.any()
    assert [plain_way.rank_of_duplicate(row, vectors) for row in rows] == (ranks.above + 1).tolist()
    scored = plain_way.score(folder / "validation.tsv", dim=16, rows=1000)
    assert scored["rows"] == 25 and scored["mrr"] == pytest.approx(metrics["mrr"])
