#!/usr/bin/env bash
# A server under valgrind does what pgseal is asked for, and what a plain server does, for comparison (tools/valgrind/).
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

# Debian's own program needs the C library's symbols to know its string functions.
wanted=()
for package in valgrind libc6-dbg; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || wanted+=("$package")
done
if [ ${#wanted[@]} -gt 0 ]; then
    run_step "installing ${wanted[*]}" valgrind-install \
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${wanted[@]}"
fi
cd "$ROOT"
PYTHONPATH=tests exec .venv/bin/python -B tools/valgrind/run.py "$@"
