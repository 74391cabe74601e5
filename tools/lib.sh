# Shared by the scripts in tools/: where PostgreSQL is, how to speak, how to become root.
# Sourced, never run. Expects `set -euo pipefail` in the caller.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_MAJOR=${PG_MAJOR:-15}
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
LOGS=$ROOT/target/log

# cargo's own programs, also where the login shell has not been told of them.
PATH=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH
export PATH PG_CONFIG PG_MAJOR

say() { printf 'pgseal: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# run_step "what is being done, and how long it takes" name command…
# Keeps the command's output in target/log/name.log. Says every half minute that it is still at work, and
# shows the end of the log when the command fails.
run_step() {
    local what=$1 log=$LOGS/$2.log started=$SECONDS pid next=30
    shift 2
    mkdir -p "$LOGS"
    say "$what …"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    # A pause that notices the end at once would need `wait -n` with a time limit, which bash lacks.
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= next)); then
            say "  still at it after $((SECONDS - started)) s"
            next=$((next + 30))
        fi
    done
    if ! wait "$pid"; then
        say "that failed; the end of ${log#"$ROOT"/}:"
        tail -n 40 "$log" >&2
        exit 1
    fi
    if ((SECONDS - started >= 3)); then
        say "  done in $((SECONDS - started)) s"
    fi
}

# download_package name folder: a Debian package as a file, into an empty folder.
download_package() {
    # apt's own user, which fetches, writes there as well.
    chmod 777 "$2"
    (cd "$2" && apt-get download -q "$1") || { as_root apt-get update -q && (cd "$2" && apt-get download -q "$1"); }
}

# unpack_program packages path folder: one program out of the package that was downloaded.
unpack_program() {
    mkdir -p "$3"
    dpkg-deb --fsys-tarfile "$1"/*.deb | tar -x -C "$3" --strip-components=3 "./$2"
}

# The pgNN feature of Cargo.toml that fits PG_CONFIG.
pg_feature() {
    "$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/pg\1/'
}
