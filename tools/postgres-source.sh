#!/usr/bin/env bash
# Fetches the source of Debian's package of the installed PostgreSQL and prints the folder where it lies unpacked. Where
# the archive has that version's source no more, the newest one of the same major version that it has.
# This machine's own lists of packages stay as they are: apt works on copies in target/postgres-source.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

PACKAGE=postgresql-$PG_MAJOR
WORK=$ROOT/target/postgres-source

private_apt() {
    apt-get -q -o Dir::Etc::SourceList="$WORK/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$WORK/lists" -o Dir::Cache="$WORK/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

# One line for each place that this machine has the package from.
sources() {
    apt-cache madison "$PACKAGE" |
        sed -nE 's#^[^|]*\|[^|]*\| *(\S+) ([^ /]+)/(\S+) \S+ Packages$#deb-src \1 \2 \3#p' | sort -u
}

download() {
    local version
    mkdir -p "$WORK/lists/partial" "$WORK/cache/archives/partial"
    sources >"$WORK/sources.list"
    private_apt update
    for version in "$1" $(apt-cache madison "$PACKAGE" | awk '{ print $3 }'); do
        if (cd "$WORK" && private_apt source --download-only "$PACKAGE=$version"); then
            [ "$version" = "$1" ] || download_client "$version"
            return
        fi
    done
    return 1
}

download_client() {
    (cd "$WORK" && apt-get -q download "postgresql-client-$PG_MAJOR=$1" && dpkg-deb -x postgresql-client-*.deb client)
}

unpack() {
    dpkg-source --no-check -x "$WORK/$PACKAGE"_*.dsc "$WORK/source"
}

if [ ! -x "$WORK/source/configure" ]; then
    rm -rf "$WORK"
    mkdir -p "$WORK"
    installed=$(dpkg-query -W -f='${Version}' "$PACKAGE" 2>/dev/null) ||
        die "$PACKAGE is not installed: hand over the folder of PostgreSQL's source, see tools/regress_postgres.py"
    run_step "fetching the source of $PACKAGE $installed" postgres-source download "$installed" >&2
    run_step "unpacking it" postgres-unpack unpack >&2
fi
echo "$WORK/source"
