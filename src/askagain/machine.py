"""Facts about the machine: processor, GPUs, versions, and the precision of its fastest matrix products."""

import platform
from collections import Counter
from pathlib import Path

import torch

LARGE_BATCH = 1024  # pairs; with fewer, matrix products are a small part of a step


def machine() -> dict[str, str]:
    """What results are measured on, to be written beside them: processor, GPUs, versions of Python and PyTorch."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = f"{lines[0].split(':', 1)[1].strip()}, {len(lines)} cores" if lines else processor
    gpus = Counter(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    return {
        "processor": processor,
        "products faster in bfloat16": "yes" if _multiplies_bfloat16_faster() else "no",
        "GPU": ", ".join(name if count == 1 else f"{count} x {name}" for name, count in gpus.items()) or "none",
        "Python": platform.python_version(),
        "PyTorch": str(torch.__version__),  # a subclass of str that hparams.yaml cannot be read back with
    }


def has_gpu() -> bool:
    """Whether torch finds a GPU that it drives as `cuda`."""
    return torch.cuda.is_available()


def fastest_precision(accelerator: str, batch_size: int) -> str:
    """`bf16-mixed` where this machine multiplies large batches faster in bfloat16, else `32-true`.

    `batch_size` counts the pairs of all devices. `32-true` gives the same results for any number of devices.
    """
    if batch_size < LARGE_BATCH:
        return "32-true"
    if accelerator in ("auto", "gpu", "cuda") and has_gpu():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = _multiplies_bfloat16_faster()
    return "bf16-mixed" if native else "32-true"


def _multiplies_bfloat16_faster() -> bool:
    """Whether the processor has matrix units for bfloat16 (AMX), or is an AMD with bfloat16 instructions.

    These instructions halved the time of products on an AMD EPYC (Zen 4), but doubled it on an Intel Xeon without AMX.
    """
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or (has.get("avx512_bf16") and "AMD" in has.get("cpu_name", "")))
