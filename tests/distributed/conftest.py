import multiprocessing
from collections.abc import Iterator
from functools import partial

import pytest
from torch.distributed.launcher import api


@pytest.fixture(scope="module")
def forked_ranks() -> Iterator[None]:
    """Ranks are forks of a process that has imported their work, which takes seconds; those of commands start anew."""
    with pytest.MonkeyPatch.context() as patch:
        multiprocessing.set_forkserver_preload(["tests.distributed.ranks_at_work", "tests.distributed.test_launch"])
        patch.setattr(api, "LaunchConfig", partial(api.LaunchConfig, start_method="forkserver"))
        yield
