import multiprocessing
from collections.abc import Iterator

import pytest

from askagain.distributed import launch


@pytest.fixture(scope="module")
def forked_ranks() -> Iterator[None]:
    """Ranks are forks of a process that has imported their work, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        multiprocessing.set_forkserver_preload(["tests.distributed.ranks_at_work", "tests.distributed.test_launch"])
        patch.setattr(launch, "_start_method", "forkserver")
        yield
