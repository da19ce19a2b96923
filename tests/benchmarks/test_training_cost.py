import numpy as np
import pytest
import torch

from askagain.benchmarks.training_cost import Rates, Size, Step, distinct_words
from askagain.distributed.collectives import World
from askagain.synthetic.scaled import JOINERS, OPENINGS, ScaledLanguage, invented_words
from askagain.training.losses.nt_xent import NTXentLoss


class Counted(World):
    """Two ranks of which only one is there: what it gives is counted, and comes back doubled."""

    def all_reduce(self, tensor):
        self.bytes_crossed += tensor.nbytes
        return tensor.mul_(2)


@pytest.mark.parametrize(("pairs", "dim"), [(8, 16), (24, 20)])
def test_what_is_said_to_cross_is_what_the_loss_gives_away(pairs, dim):
    world = Counted(0, 2)
    NTXentLoss()(*torch.randn(2 * pairs, dim, requires_grad=True).split(pairs), world=world)
    assert Step(Size(1000, dim, pairs // 2, 2), 20.0, 11.0).crossed_bytes == world.bytes_crossed


def test_what_crosses_does_not_depend_on_the_vocabulary_and_dense_gradients_do():
    small, large = (Step(Size(vocabulary, 300, 1024, 2), 20.0, 11.0) for vocabulary in (132_000, 2_000_000))
    assert small.crossed_bytes == large.crossed_bytes < small.dense_bytes / 10
    assert large.dense_bytes == 2_000_000 * 300 * 4
    alone = Step(Size(132_000, 300, 1024, 1), 20.0, 11.0)
    assert alone.crossed_bytes == alone.dense_bytes == 0


def test_the_expected_number_of_distinct_words_is_that_of_the_synthetic_corpus():
    seed = 5
    generator = np.random.default_rng(seed)
    language = ScaledLanguage(invented_words(5000, generator))
    questions = language.lines(np.ones(1000, dtype=np.int64), np.ones(1000, dtype=np.int64), generator)
    stop_words = set(" ".join(OPENINGS + JOINERS).split())
    words = [word for word in questions.split() if word not in stop_words]
    assert distinct_words(len(words), 5000) == pytest.approx(len(set(words)), rel=0.03)


def test_more_devices_take_less_time_for_the_same_batch_unless_sending_is_slow():
    one, two = Step(Size(10_000, 300, 2048, 1), 20.0, 11.0), Step(Size(10_000, 300, 1024, 2), 20.0, 11.0)
    fast, slow = (Rates(1e11, 1e10, crossed, 0.001) for crossed in (1e11, 1e6))
    assert two.seconds(fast) < one.seconds(fast)
    assert two.seconds(slow) > one.seconds(slow)
    assert two.flops == one.flops / 2
