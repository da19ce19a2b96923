"""Imports what a rank trains with. The process that ranks are forks of imports this module, see `fork_ranks_from`."""

from askagain.apps.command import heavy_imports

with heavy_imports(for_training=True):
    import askagain.apps.train  # noqa: F401
