"""What stands in for a profiler where none is asked for."""

from contextlib import AbstractContextManager, nullcontext

from pytorch_lightning.profilers import PassThroughProfiler


class Unprofiled(PassThroughProfiler):
    """Measures nothing, as Lightning's own does, but makes nothing either: it is asked some fifty times a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager:  # type: ignore[override]
        """A context in which nothing is done."""
        return self._nothing
