#!/usr/bin/env bash
# Puts pgbouncer into target/pgbouncer, for the tests of applications, and installs the libraries that it needs. Does
# nothing where it is there or on this machine. The package itself is not installed: it would start a service.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

FOLDER=$ROOT/target/pgbouncer

# Names such as libevent-2.1-7 differ from one release of Debian to the next: the package says them.
libraries() {
    dpkg-deb -f "$1" Depends | tr ',' '\n' | sed -nE 's/^ *(lib[^ ]+).*/\1/p'
}

fetch() {
    local packages
    packages=$(mktemp -d)
    download_package pgbouncer "$packages"
    # shellcheck disable=SC2046
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(libraries "$packages"/*.deb)
    unpack_program "$packages" usr/sbin/pgbouncer "$FOLDER"
    rm -rf "$packages"
}

if [ ! -x "$FOLDER/pgbouncer" ] && ! PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null; then
    command -v dpkg-deb >/dev/null || die "not a Debian system: put pgbouncer into PATH"
    run_step "fetching pgbouncer" fetch-pgbouncer fetch
fi
