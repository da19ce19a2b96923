#!/usr/bin/env bash
# Makes the environment with the test extras, and runs the linter, the formatter and the type checker, which change
# nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements-test.txt
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
