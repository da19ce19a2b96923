#!/usr/bin/env bash
# Makes the environment with the test extras and runs the suite; further words are passed on to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements-test.txt
.venv/bin/python -m pytest "$@"
