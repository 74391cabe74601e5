#!/usr/bin/env bash
# Adds rustfmt and clippy to a toolchain that was installed without them.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

for component in rustfmt clippy; do
    name=${component/rust/}
    if ! cargo "$name" --version >/dev/null 2>&1; then
        command -v rustup >/dev/null || die "this toolchain has no $component"
        run_step "adding $component to the toolchain" "rustup-$component" rustup component add "$component"
    fi
done
