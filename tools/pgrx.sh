#!/usr/bin/env bash
# Installs cargo-pgrx in the version that Cargo.toml pins, and tells it of the PostgreSQL in PG_CONFIG.
# Each is done once; what a developer has set up for other versions of PostgreSQL is kept.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

PGRX_VERSION=0.18.1 # as Cargo.toml pins pgrx
CONFIG=${PGRX_HOME:-$HOME/.pgrx}/config.toml

install_cargo_pgrx() {
    [ "$(cargo pgrx --version 2>/dev/null)" = "cargo-pgrx $PGRX_VERSION" ] && return
    run_step "installing cargo-pgrx $PGRX_VERSION, about 5 minutes on 2 cores" cargo-pgrx \
        cargo install cargo-pgrx --version "=$PGRX_VERSION" --locked
}

# The versions that config.toml knows, as arguments for `cargo pgrx init`, which writes the file anew.
known_versions() {
    [ -f "$CONFIG" ] || return 0
    sed -nE 's/^(pg[0-9]+) *= *"([^"]+)"$/--\1=\2/p' "$CONFIG"
}

initialise() {
    local feature known
    feature=$(pg_feature)
    mapfile -t known < <(known_versions)
    case " ${known[*]} " in
    *" --$feature="*) return ;;
    esac
    run_step "telling cargo-pgrx of $("$PG_CONFIG" --version)" pgrx-init \
        cargo pgrx init --no-run "--$feature=$PG_CONFIG" "${known[@]}"
}

command -v cargo >/dev/null || die "no cargo: install the Rust toolchain first (https://rustup.rs)"
install_cargo_pgrx
initialise
