"""Threads that wait for work leave the processor to others."""

import os

BLAS_TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"
CYCLES = 20  # 2^20 of the processor, a third of a millisecond


def let_idle_threads_sleep() -> None:
    """Lets the threads of NumPy's OpenBLAS sleep soon after a product. Call it before NumPy is imported.

    They would go on asking for more for 2^28 cycles, a tenth of a second. On two cores the trigram regressor's steps
    took 1.7 times as long that long after every epoch. A value that the user has set stays.
    """
    os.environ.setdefault(BLAS_TIMEOUT, str(CYCLES))
