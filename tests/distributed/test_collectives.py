"""Several ranks, each a process, compute what one does alone."""

from pathlib import Path

import pytest
import torch

from askagain.distributed.collectives import World
from askagain.distributed.launch import run_ranks
from askagain.synthetic.sample import write_sample
from askagain.training.losses.nt_xent import NTXentLoss
from tests.distributed import ranks_at_work

pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.slow]  # what they compute is computed once
PRINTED = 4  # digits
ADDITIONS = ("loss", "gradient", "of temperature")


def worked(folder: Path, size: int) -> list[dict]:
    """What each rank found."""
    run_ranks(size, ranks_at_work.work, size, folder)
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=True) for rank in range(size)]


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two ranks")
    write_sample(folder, seed=1, groups=300, rows=41, negatives=60)
    return folder


@pytest.fixture(scope="module")
def two(corpus_folder, forked_ranks) -> list[dict]:
    return worked(corpus_folder, 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory, forked_ranks) -> list[dict]:
    return worked(tmp_path_factory.mktemp("three ranks"), 3)


@pytest.fixture(scope="module")
def seven(tmp_path_factory, forked_ranks) -> list[dict]:
    return worked(tmp_path_factory.mktemp("seven ranks"), 7)


@pytest.fixture(scope="module")
def alone(corpus_folder) -> dict:
    return ranks_at_work.trainings(1, corpus_folder)


@pytest.fixture(params=["two", "three"])
def ranks(request) -> list[dict]:
    return request.getfixturevalue(request.param)


def test_every_thing_has_one_rank_and_shares_differ_by_one_at_most(ranks):
    for count in range(10):
        shares = [rank["shares"][count] for rank in ranks]
        assert [stop for _, stop in shares[:-1]] == [start for start, _ in shares[1:]]
        assert shares[0][0] == 0 and shares[-1][1] == count
        sizes = [stop - start for start, stop in shares]
        assert max(sizes) - min(sizes) <= 1


def test_ranks_know_whether_they_have_the_same_numbers(ranks, seven):
    assert all(rank["agreement"] == [True, False, True] for rank in [*ranks, *seven])


def test_shares_become_a_whole_on_every_rank(ranks):
    assert all(rank["whole"] == list(range(7)) for rank in ranks)


def test_loss_and_gradient_are_those_of_one_rank_and_the_same_bits_on_all(ranks):
    expected = ranks_at_work.losses(World())
    compared = [name for name in expected if ", True: " in name and not name.startswith("reference")]
    assert len(compared) == (2 * 2 + 3) * len(ranks_at_work.PAIRS)
    for name in compared:
        for rank in ranks:
            assert torch.equal(rank["losses"][name], ranks[0]["losses"][name]), name
            torch.testing.assert_close(rank["losses"][name], expected[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("negatives", [0, 40])
def test_in_bfloat16_it_does_not_show_how_many_ranks_there_are(ranks, negatives):
    expected = ranks_at_work.losses(World())
    name = f"rounded, {negatives} negatives"
    exact = expected[f"{name}: gradient"]
    for rank in ranks:
        torch.testing.assert_close(rank["losses"][f"{name}: loss"], expected[f"{name}: loss"], rtol=1e-6, atol=0)
        # A sum that is added up in another order may be rounded to the next number of bfloat16 here and there.
        difference = (rank["losses"][f"{name}: gradient"] - exact).norm() / exact.norm()
        assert difference < 2e-4


def test_without_gather_all_ranks_have_the_same_gradients_too(ranks):
    names = [name for name in ranks[0]["losses"] if ", False: " in name and not name.startswith("reference")]
    assert any("of temperature" in name for name in names)
    for name in names:
        assert all(torch.equal(rank["losses"][name], ranks[0]["losses"][name]) for rank in ranks), name


def test_without_gather_pairs_are_compared_with_those_of_their_own_rank(ranks):
    loss = NTXentLoss()
    for pairs in ranks_at_work.PAIRS:
        vectors, groups = ranks_at_work.random_batch(pairs, 0)
        queries, positives = vectors.split(pairs)
        parts = [World(rank, len(ranks)).shard(pairs) for rank in range(len(ranks))]
        expected = sum(
            loss(queries[part], positives[part], groups=groups[part]) * (part.stop - part.start) / pairs
            for part in parts
            if part.stop > part.start
        )
        expected.backward()
        for rank in ranks:
            results = rank["losses"]
            torch.testing.assert_close(results[f"{pairs} pairs, 0.1, False: loss"], expected.detach())
            torch.testing.assert_close(results[f"{pairs} pairs, 0.1, False: gradient"], vectors.grad)


def test_without_gather_pairs_are_compared_with_all_hard_negatives(ranks):
    for pairs in ranks_at_work.PAIRS:
        vectors, groups = ranks_at_work.random_batch(pairs, ranks_at_work.NEGATIVES)
        queries, positives, negatives = vectors.split([pairs, pairs, ranks_at_work.NEGATIVES])
        loss = NTXentLoss(0.2, learn_temperature=True, label_smoothing=0.2)
        losses = []
        for rank in range(len(ranks)):
            part = World(rank, len(ranks)).shard(pairs)
            count = part.stop - part.start
            if count:
                own_groups = torch.cat([groups[:pairs][part], groups[pairs:]])
                shard = loss(queries[part], positives[part], negatives=negatives, groups=own_groups)
                losses.append(shard * count / pairs)
        sum(losses).backward()
        for rank in ranks:
            results = {name: rank["losses"][f"{pairs} pairs and additions, False: {name}"] for name in ADDITIONS}
            torch.testing.assert_close(results["loss"], sum(losses).detach())
            torch.testing.assert_close(results["gradient"], vectors.grad)
            torch.testing.assert_close(results["of temperature"], loss.log_temperature.grad)


@pytest.mark.parametrize("gather", [True, False])
def test_the_reference_gives_every_rank_the_same_loss_and_gradients(ranks, gather):
    for pairs in ranks_at_work.PAIRS:
        for name in ADDITIONS:
            name = f"{pairs} pairs and additions, {gather}: {name}"
            for rank in ranks:
                results = rank["losses"]
                torch.testing.assert_close(results[f"reference, {name}"], results[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    "training",
    [f"{rung}, {name}" for rung in ("dssm", "trigram") for name in ranks_at_work.OPTIMIZERS]
    + ["weighted dssm, row", "weighted dssm, adam"],
)
def test_two_devices_train_the_weights_and_print_the_figures_of_one(two, alone, training):
    expected = alone[training]
    assert expected["steps"] >= 50
    for rank in two:
        found = rank["trainings"][training]
        assert found["steps"] == expected["steps"]
        assert torch.equal(found["weights"], two[0]["trainings"][training]["weights"])
        torch.testing.assert_close(found["weights"], expected["weights"], rtol=0, atol=1e-5)
        names = ["train/loss_epoch", "val/loss", "val/hits@1", "val/hits@10", "val/mrr", "val/ties"]
        for name in names + ["val/cosine"] * training.startswith("trigram"):
            assert f"{found['figures'][name]:.{PRINTED}f}" == f"{expected['figures'][name]:.{PRINTED}f}", name
        for name in (*names[1:], "test/hits@1", "test/mrr"):
            assert f"{found['after fit'][name]:.{PRINTED}f}" == f"{expected['after fit'][name]:.{PRINTED}f}", name


def test_what_crosses_grows_with_the_batch_and_not_with_the_table(two):
    crossed = two[0]["trainings"]["dssm, row"]["figures"]["train/bytes_crossed_per_step"]
    width, pairs = 16, ranks_at_work.GLOBAL_BATCH
    assert 0 < crossed <= 4 * (2 * pairs + 2 * pairs * width)
    assert crossed < two[0]["trainings"]["dssm, row"]["weights"].nbytes / 4
