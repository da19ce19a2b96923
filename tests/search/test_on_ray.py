"""Embedding and comparing on a Ray cluster of two workers, one of which is killed."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from askagain.duplicates.similar_pairs import similar_pairs
from askagain.errors import InputError
from tests.search.conftest import small_encoder, some_questions

ray = pytest.importorskip("ray", reason="Ray is not installed (requirements-sweeps.txt)")
psutil = pytest.importorskip("psutil")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def cluster():
    from askagain.search.on_ray import RayCluster

    ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    yield RayCluster("local")
    ray.shutdown()


def workers() -> list:
    """The processes that hold an encoder or a task."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "MapWorker" in " ".join(child.cmdline()) and child.is_running()]


def kill_one(killed: list[int], stop: threading.Event) -> None:
    """Kills the first worker that is there."""
    while not stop.is_set():
        for worker in workers():
            time.sleep(0.3)  # it has begun with its work
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)
            return
        time.sleep(0.02)


@pytest.fixture
def killer():
    """Process ids of workers that were killed while the test ran."""
    killed, stop = [], threading.Event()
    thread = threading.Thread(target=kill_one, args=(killed, stop))
    thread.start()
    yield killed
    stop.set()
    thread.join()


def test_vectors_are_those_of_one_machine_though_a_worker_is_killed(cluster, killer, monkeypatch):
    monkeypatch.setattr("askagain.search.on_ray.TEXTS_PER_SHARD", 200)
    encoder = small_encoder()
    texts = [question.text for question in some_questions(20_000)]
    vectors = cluster.embed(encoder)(texts)
    assert np.array_equal(vectors, encoder.encode(texts, normalize=True))
    assert killer


@pytest.mark.parametrize("exact_up_to", [10_000, 100])
def test_pairs_are_those_of_one_machine(cluster, exact_up_to, monkeypatch):
    monkeypatch.setattr("askagain.duplicates.similar_pairs.ROWS_PER_BLOCK", 100)
    vectors = small_encoder().encode([question.text for question in some_questions(1500)])
    here = similar_pairs(vectors, 0.8, exact_up_to=exact_up_to)
    there = similar_pairs(vectors, 0.8, exact_up_to=exact_up_to, spread=cluster.spread)
    assert len(here.first) > 500 and here.recall == there.recall
    for one, other in zip(here[:3], there[:3], strict=True):
        assert np.array_equal(one, other)


def test_no_texts_and_an_address_without_a_cluster(cluster):
    assert cluster.embed(small_encoder())([]).shape == (0, 12)
    ray.shutdown()
    from askagain.search.on_ray import RayCluster

    with pytest.raises(InputError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster there .*; start one with ray start"):
        RayCluster("127.0.0.1:1")
