"""Embeds and compares texts on the machines of a Ray cluster, shard by shard, with Ray Data.

What a worker that dies was doing is done again by another one, so that the results are those of one machine.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from askagain.errors import InputError, missing_package
from askagain.models.bag_encoder import BagEncoder

TEXTS_PER_SHARD = 1 << 14
LOCAL = "local"  # in place of an address: a cluster of this machine alone
NUMBER = "number"  # of a shard
CONNECTED_WITHIN = 5  # seconds
RESTARTS = 10  # of a worker that died


class RayCluster:
    """A Ray cluster that does shards of work.

    `address`: of the cluster, or `local` for one of this machine. Raises InputError where Ray is not installed or there
    is no cluster at the address.
    """

    def __init__(self, address: str) -> None:
        self._ray = _connected(address)

    def embed(self, encoder: BagEncoder) -> Callable[[Sequence[str]], np.ndarray]:
        """A function that gives the unit vectors of texts, [texts, dim] float32, equal to those of one machine."""
        files = _packed(encoder)

        def embed(texts: Sequence[str]) -> np.ndarray:
            vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
            starts = range(0, len(texts), TEXTS_PER_SHARD)
            shards = [list(texts[start : start + TEXTS_PER_SHARD]) for start in starts]
            for number, (block,) in self._do(_Embedding, files, [{"texts": shard} for shard in shards]):
                vectors[starts[number] : starts[number] + len(block)] = block
            return vectors

        return embed

    def spread(
        self, task: Callable[[int], Any], numbers: Sequence[int], _description: str
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """The parts of a task that gives tuples of arrays, see `askagain.duplicates.similar_pairs.Spread`."""
        for _, arrays in self._do(_Task, task, [{"asked": number} for number in numbers]):
            yield arrays

    def _do(
        self, worker: type, shared: Any, shards: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
        """Does each shard with a worker made of `shared`, and gives its number and its arrays, as they are done."""
        if not shards:
            return
        ray = self._ray
        items = [{NUMBER: number, **shard} for number, shard in enumerate(shards)]
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            worker,
            fn_constructor_args=[ray.put(shared)],
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(items))),
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
        )
        for row in done.iter_rows():
            yield (
                int(row[NUMBER]),
                tuple(
                    np.frombuffer(row[f"array{place}"], dtype=row[f"dtype{place}"]).reshape(row[f"shape{place}"])
                    for place in range(int(row["arrays"]))
                ),
            )


class _Embedding:
    """A worker that holds an encoder."""

    def __init__(self, shared: Any) -> None:
        with TemporaryDirectory() as folder:
            for name, content in _held(shared).items():
                (Path(folder) / name).write_bytes(content)
            from askagain.models.folder import load_encoder

            self._encoder = load_encoder(folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        vectors = self._encoder.encode([str(text) for text in batch["texts"][0]], normalize=True)
        return _row(batch[NUMBER], [vectors])


class _Task:
    """A worker that holds a task."""

    def __init__(self, shared: Any) -> None:
        self._task = _held(shared)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return _row(batch[NUMBER], list(self._task(int(batch["asked"][0]))))


def _held(shared: Any) -> Any:
    """What stands behind a reference to an object in the cluster's memory."""
    ray = _ray()
    return ray.get(shared) if isinstance(shared, ray.ObjectRef) else shared


def _row(number: np.ndarray, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    """Arrays as the cells of one row."""
    row: dict[str, Any] = {NUMBER: number, "arrays": [len(arrays)]}
    for place, array in enumerate(arrays):
        row |= {
            f"array{place}": [np.ascontiguousarray(array).tobytes()],
            f"dtype{place}": [array.dtype.str],
            f"shape{place}": [list(array.shape)],
        }
    return row


def _packed(encoder: BagEncoder) -> dict[str, bytes]:
    """The files of an encoder folder."""
    with TemporaryDirectory() as folder:
        encoder.save(Path(folder) / "encoder")
        return {path.name: path.read_bytes() for path in (Path(folder) / "encoder").iterdir()}


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise missing_package("ray", "ray") from error
    return ray


def _refuse_unreachable(address: str) -> None:
    """Raises InputError where nothing listens at HOST:PORT, for which Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECTED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--ray {address}: no Ray cluster there ({error}); start one with ray start --head") from error


def _connected(address: str) -> Any:
    """The package, connected to a cluster; raises InputError where there is none."""
    ray = _ray()
    if ray.is_initialized():
        return ray
    _refuse_unreachable(address)
    try:
        ray.init(address=None if address == LOCAL else address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"--ray {address}: no Ray cluster there ({first}); start one with ray start --head") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray
