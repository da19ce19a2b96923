"""Embeds texts on the machines of a Ray cluster, shard by shard, with Ray Data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder

TEXTS_PER_SHARD = 1 << 14
LOCAL = "local"  # in place of an address: a cluster of this machine alone
ADDED = "askagain_place"


def embed_on_ray(encoder: BagEncoder, address: str) -> Callable[[Sequence[str]], np.ndarray]:
    """A function that gives the unit vectors of texts, [texts, dim] float32, equal to those of one machine.

    Shards of a worker that dies are embedded by another. Raises InputError where Ray is not installed or there is no
    cluster at the address.
    """
    ray = _connected(address)
    packed = ray.put(_packed(encoder))

    def embed(texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
        items = [
            {ADDED: start, "texts": list(texts[start : start + TEXTS_PER_SHARD])}
            for start in range(0, len(texts), TEXTS_PER_SHARD)
        ]
        if not items:
            return vectors
        shards = ray.data.from_items(items, override_num_blocks=len(items))
        done = shards.map_batches(
            _Embedding,
            fn_constructor_args=[packed],
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_workers(ray)),
        )
        for row in done.iter_rows():
            block = row["vectors"]
            vectors[row[ADDED] : row[ADDED] + len(block)] = block
        return vectors

    return embed


class _Embedding:
    """A worker that holds the encoder."""

    def __init__(self, packed: Any) -> None:
        files = packed if isinstance(packed, dict) else _ray().get(packed)
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            from askagain.models.folder import load_encoder

            self._encoder = load_encoder(folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        vectors = [self._encoder.encode(list(texts), normalize=True) for texts in batch["texts"]]
        return {ADDED: batch[ADDED], "vectors": vectors}


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
        raise InputError("--ray needs a package: pip install 'askagain[ray]'") from error
    return ray


def _workers(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _connected(address: str) -> Any:
    """The package, connected to a cluster; raises InputError where there is none."""
    ray = _ray()
    if ray.is_initialized():
        return ray
    try:
        ray.init(address=None if address == LOCAL else address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"--ray {address}: no Ray cluster there ({first}); start one with ray start --head") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    return ray
