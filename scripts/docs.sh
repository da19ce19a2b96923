#!/usr/bin/env bash
# Makes the environment with what the site needs, brings docs/config-reference.md up to date, and builds the site into
# site/. Further words are passed on to mkdocs: bash scripts/docs.sh serve shows it while you write.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements-docs.txt
.venv/bin/python scripts/config_reference.py
export NO_MKDOCS_2_WARNING=1
if [ $# -eq 0 ]; then
    set -- build --strict
fi
.venv/bin/python -m mkdocs "$@"
