#!/usr/bin/env bash
# Makes .venv and installs a requirements file into it, unless it is there already: environment.sh REQUIREMENTS_FILE
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2
    exit 2
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
# What is installed is remembered by content, so that a changed requirement is installed and an unchanged one is not.
wanted=$(cat requirements*.txt pyproject.toml | sha256sum | cut -d' ' -f1)
stamp=.venv/installed-$(basename "$1")
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing $1 into .venv (a few minutes the first time) ..." >&2
    install=(.venv/bin/python -m pip install --disable-pip-version-check -r "$1")
    if [ -t 2 ]; then  # one line that changes shows what pip is doing
        "${install[@]}" | while IFS= read -r line; do printf '\r\033[K  %.90s' "$line" >&2; done
        printf '\r\033[K' >&2
    else
        "${install[@]}" --quiet
    fi
    echo "$wanted" > "$stamp"
fi
