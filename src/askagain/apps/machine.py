"""What training asks of the machine: how it multiplies matrices fastest, and that memory is kept between steps."""

import ctypes
import platform

import torch

# Numbers of glibc's mallopt, and what is set: the largest block that it takes from its heap, and how much may lie free
# at the heap's end before it is given back.
MMAP_THRESHOLD, LARGEST_HEAP_BLOCK = -3, 32 << 20
TRIM_THRESHOLD, KEPT_FREE = -1, 512 << 20


def fastest_precision(accelerator: str) -> str:
    """`bf16-mixed` where this machine has matrix units for bfloat16 (CUDA devices, processors with AMX); else
    `32-true`: processors that only have bfloat16 instructions multiply float32 faster.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"


def keep_freed_memory() -> None:
    """Makes glibc keep what is freed: a step needs tensors of the same sizes as the last, and a page that was given
    back to the system costs more to get anew than what is computed on it. Elsewhere nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, LARGEST_HEAP_BLOCK)
        libc.mallopt(TRIM_THRESHOLD, KEPT_FREE)
