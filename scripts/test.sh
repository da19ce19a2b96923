#!/usr/bin/env bash
# Makes the environment with the test extras and runs the suite, a process a processor core; further words are passed on
# to pytest, and -n0 runs all tests in one process.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements-test.txt
.venv/bin/python -m pytest --numprocesses=auto --dist=loadgroup "$@"
