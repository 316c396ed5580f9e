#!/usr/bin/env bash
# Style, formatting, types: everything that needs no run of the code. Usage: scripts/check.sh [folder of the tools]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/python" scripts/readme_tables.py --check
