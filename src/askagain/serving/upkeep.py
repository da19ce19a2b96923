"""`python -m askagain.serving.upkeep INDEX`: folds the journal and joins segments, in a process of its own.

The server starts it beside itself, so that answers do not wait for it.
"""

import os
import sys
from contextlib import suppress

from askagain.errors import InputError
from askagain.search.index_writer import IndexWriter

POLITENESS = 10  # of the process, so that the server has the processors first

if __name__ == "__main__":
    with suppress(OSError, AttributeError):
        os.nice(POLITENESS)
    try:
        IndexWriter(sys.argv[1]).upkeep()
    except InputError as error:
        sys.exit(f"error: {error}")
