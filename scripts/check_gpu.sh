#!/usr/bin/env bash
# Tries training on a GPU: runs the tests that need one and a small benchmark, and leaves both in OUT/check_gpu.
# Nothing is installed or fetched. OUT is runs unless it is set; PYTHON chooses the interpreter, and PEER_PYTHON one with
# sentence-transformers, to compare with. Further words go to the benchmark, such as size.rounds=1.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
out=${OUT:-runs}/check_gpu
peer=${PEER_PYTHON:+$(command -v "$PEER_PYTHON")}
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"

"$python" - <<'END'
import importlib.util
import pathlib
import re
import sys

NEEDED = (  # module by package
    ("torch", "torch"), ("pytorch-lightning", "pytorch_lightning"), ("numpy", "numpy"), ("scipy", "scipy"),
    ("scikit-learn", "sklearn"),
    ("hydra-core", "hydra"), ("omegaconf", "omegaconf"), ("polars", "polars"), ("filelock", "filelock"),
    ("safetensors", "safetensors"), ("rich", "rich"), ("pydantic", "pydantic"), ("python-dotenv", "dotenv"),
    ("pytest", "pytest"), ("pytest-timeout", "pytest_timeout"),
)
pins = dict(re.findall(r"^([\w-]+)==(\S+?);?(?:\s|$)", pathlib.Path("requirements.txt").read_text(), re.MULTILINE))
if sys.version_info < (3, 11):
    print("error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11", file=sys.stderr)
    sys.exit(2)
missing = [package for package, module in NEEDED if importlib.util.find_spec(module) is None]
if missing:
    words = " ".join(f"{package}=={pins[package]}" if package in pins else package for package in missing)
    print(f"error: not installed: {words}", file=sys.stderr)
    sys.exit(2)
import torch

if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11):
    print(f"error: torch {torch.__version__}: 2.11 or newer is needed", file=sys.stderr)
    sys.exit(2)
if not torch.cuda.is_available():
    print(f"error: torch {torch.__version__} finds no GPU; a build for CUDA and a driver are needed", file=sys.stderr)
    sys.exit(2)
print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {sys.version.split()[0]}")
END

mkdir -p "$out"
status=0
mapfile -t files < <(grep -rl --include='test_*.py' 'mark\.cuda' tests)  # others import what is not needed here
"$python" -m pytest -m cuda -p no:cacheprovider -rfE "${files[@]}" | tee "$out/tests.txt" || status=$?
"$python" scripts/benchmark.py benchmarks=train size=gpu out="$out" ${peer:+peer_python="$peer"} "$@"
echo "tests: $out/tests.txt; table: $out/benchmark.md"
exit "$status"
