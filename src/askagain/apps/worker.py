"""A process of rank 1 or above: does its part of the runs that rank 0 gives, and ends when there are no more."""

import logging
import os
import sys
import threading
import time
import warnings

from askagain.apps.command import heavy_imports
from askagain.distributed.launch import LOOKED_AT, PARENT, found_team, is_lost_connection, place
from askagain.errors import InputError


def serve() -> int:
    """Takes part in runs; returns the exit status."""
    there = place()
    if there is None or there.rank == 0:
        print("error: this is started by train.py", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.ERROR, format=f"rank {there.rank}: %(message)s")
    warnings.simplefilter("ignore")  # rank 0 warns
    if PARENT in os.environ:  # not asked of the system, for rank 0 may have ended by now
        threading.Thread(target=_end_with, args=(int(os.environ[PARENT]),), daemon=True).start()
    with heavy_imports():
        from askagain.apps.train import take_part

    team = found_team(there)
    for cfg in team.runs():
        try:
            take_part(cfg, team)
        except InputError:
            pass  # rank 0 says it
        except Exception as error:
            if not is_lost_connection(error):
                logging.getLogger(__name__).exception("failed")
    return 0


def _end_with(parent: int) -> None:
    """Ends this process when the one that started it has ended."""
    while os.getppid() == parent:
        time.sleep(LOOKED_AT)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(serve())
