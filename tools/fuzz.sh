#!/usr/bin/env bash
# Gives hostile input to everything that pgseal reads: fuzz.sh [seconds for each target, 60] [target…]
# What is found stands in target/fuzz/artifacts/<target>/; run a file there again with
#     tools/fuzz.sh 0 <target> target/fuzz/artifacts/<target>/<file>
# What was learnt is kept in target/fuzz/corpus, from where the next run goes on.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

FUZZ_VERSION=0.13.2
FUZZ=$ROOT/target/fuzz
GOLDEN=$ROOT/crates/document/tests/golden

# libFuzzer and the address sanitizer are options of the compiler that are not stable yet. This has the toolchain with
# which everything else is built take them, so that what is tried is what is shipped.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/fuzz-build

install_cargo_fuzz() {
    [ "$(cargo fuzz --version 2>/dev/null)" = "cargo-fuzz $FUZZ_VERSION" ] && return
    run_step "installing cargo-fuzz $FUZZ_VERSION, about 2 minutes" cargo-fuzz \
        cargo install cargo-fuzz --version "=$FUZZ_VERSION" --locked
}

# seed target: one file for each line of its seeds (as printf %b reads them), and for each value of the golden files.
seed() {
    local target=$1 folder=$FUZZ/seeds/$1 number=0 line
    mkdir -p "$folder" "$FUZZ/corpus/$target" "$FUZZ/artifacts/$target"
    if [ -f "fuzz/seeds/$target.txt" ]; then
        while IFS= read -r line; do
            printf '%b' "$line" >"$folder/$((number += 1))"
        done <"fuzz/seeds/$target.txt"
    fi
    if [ -f "$GOLDEN/$target.txt" ] && [ ! -e "$folder/golden-1" ]; then
        python3 - "$GOLDEN/$target.txt" "$folder" <<'PYTHON'
import sys
from pathlib import Path

for number, line in enumerate(Path(sys.argv[1]).read_text().strip("\n").split("\n"), 1):
    value = bytes.fromhex(line.split("\t")[0])
    if len(value) <= 1024:
        Path(sys.argv[2], f"golden-{number}").write_bytes(value)
PYTHON
    fi
}

program() {
    echo "$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release/$1"
}

# The last line of libFuzzer's log: executions, places reached (cov), and how large the corpus became.
try() {
    local target=$1 seconds=$2 log=$LOGS/fuzz-$1.log
    if ! "$(program "$target")" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$FUZZ/artifacts/$target/" "$FUZZ/corpus/$target" "$FUZZ/seeds/$target" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        say "$target found something: see ${log#"$ROOT"/} and target/fuzz/artifacts/$target"
        return 1
    fi
    printf '%-10s %s\n' "$target" "$(grep -E '^#[0-9]+' "$log" | grep DONE | tail -n 1)"
}

cd "$ROOT"
seconds=${1:-60}
all=$(sed -nE 's/^name = "([a-z]+)"$/\1/p' fuzz/Cargo.toml)
install_cargo_fuzz
run_step "building what is tried, some minutes the first time" fuzz-build cargo fuzz build --fuzz-dir fuzz
mkdir -p "$LOGS"
if [ -f "${3:-}" ]; then
    exec "$(program "$2")" "$3"
fi
failed=0
# shellcheck disable=SC2086  # names of targets
for target in ${*:2} $([ $# -ge 2 ] || echo $all); do
    seed "$target"
    try "$target" "$seconds" || failed=1
done
exit "$failed"
