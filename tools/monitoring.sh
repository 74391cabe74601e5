#!/usr/bin/env bash
# Puts promtool and postgres_exporter into target/monitoring, for the tests of docs/monitoring. Does nothing where they
# are there or in PATH. Debian's packages are unpacked, not installed: installed, they start services that nobody
# asked for.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

FOLDER=$ROOT/target/monitoring

# fetch package program
fetch() {
    local packages
    packages=$(mktemp -d)
    download_package "$1" "$packages"
    unpack_program "$packages" "usr/bin/$2" "$FOLDER"
    rm -rf "$packages"
}

# Debian 13 has promtool in a package of its own.
promtool_package() {
    if apt-cache show promtool >/dev/null 2>&1; then
        echo promtool
    else
        echo prometheus
    fi
}

for both in "$(promtool_package)/promtool" prometheus-postgres-exporter/prometheus-postgres-exporter; do
    program=${both#*/}
    if [ ! -x "$FOLDER/$program" ] && ! command -v "$program" >/dev/null; then
        command -v dpkg-deb >/dev/null || die "not a Debian system: put $program into PATH"
        run_step "fetching $program" "fetch-$program" fetch "${both%/*}" "$program"
    fi
done
