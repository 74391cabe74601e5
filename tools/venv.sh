#!/usr/bin/env bash
# Makes .venv with the pinned Python packages of tests/requirements.txt. Does nothing when they are there.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

VENV=$ROOT/.venv
WANTED=$ROOT/tests/requirements.txt
STAMP=$VENV/.requirements
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=$(command -v python3) || die "no python3"

make_venv() {
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV"
    "$VENV/bin/pip" install --disable-pip-version-check --require-virtualenv -r "$WANTED"
    cp "$WANTED" "$STAMP"
}

if cmp -s "$WANTED" "$STAMP" && "$VENV/bin/python" -c 'import pytest, psycopg' 2>/dev/null; then
    exit 0
fi
run_step "making .venv for the tests" venv make_venv
