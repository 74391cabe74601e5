#!/usr/bin/env bash
# Installs the Debian packages that pgseal's targets need, and only those that are missing.
#   tools/packages.sh build    compiler, libclang, PostgreSQL with its headers, python3
#   tools/packages.sh test     the same, python3-venv, pg_cron, which a test has start verification, gdb,
#                              which makes core files, Java with its driver, and what tests/key/kms fetches keys from
#   tools/packages.sh package  what build installs, and Debian's tools for making packages and trying them
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

NO_MAIN_CLUSTER=/etc/postgresql-common/createcluster.d/pgseal-setup.conf

needed() {
    echo build-essential pkg-config libssl-dev libclang-dev python3
    # A pg_config that somebody chose brings its own server.
    if [ "$PG_CONFIG" = "/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" ]; then
        echo "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR"
        if [ "${1:-}" = test ]; then
            echo "postgresql-$PG_MAJOR-cron"
        fi
    fi
    if [ "${1:-}" = test ]; then
        echo python3-venv gdb
        echo default-jdk-headless libpostgresql-jdbc-java
        echo age awscli opensc openssl python3-pykmip softhsm2 systemd
    fi
    if [ "${1:-}" = package ]; then
        echo debhelper debootstrap lintian
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

update_lists() {
    run_step "reading the lists of Debian packages" apt-update as_root apt-get update -q
}

# The packages of PostgreSQL create a cluster «main» and start it. Nobody asked for a server here: they are told
# not to, unless this machine has clusters of that version already.
install_packages() {
    local status=0 told=
    if [ ! -e "/etc/postgresql/$PG_MAJOR" ]; then
        told=yes
        as_root mkdir -p "$(dirname "$NO_MAIN_CLUSTER")"
        echo "create_main_cluster = false" | as_root tee "$NO_MAIN_CLUSTER" >/dev/null
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" || status=$?
    if [ -n "$told" ]; then
        as_root rm -f "$NO_MAIN_CLUSTER"
    fi
    return "$status"
}

main() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        [ -x "$PG_CONFIG" ] || die "not a Debian system: install PostgreSQL with its headers, libclang and OpenSSL's headers, then say make PG_CONFIG=…"
        return
    fi
    for package in $(needed "${1:-build}"); do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)" ]; then
            update_lists
        fi
        # A list that is too old names files that are gone: ask whether everything can be fetched before installing.
        if ! as_root apt-get install -q -y --no-install-recommends --print-uris "${missing[@]}" >/dev/null 2>&1; then
            update_lists
        fi
        run_step "installing ${missing[*]} (a minute or two)" apt-install install_packages "${missing[@]}"
    fi
    [ -x "$PG_CONFIG" ] || die "there is no $PG_CONFIG; say make PG_CONFIG=/path/to/pg_config"
}

main "$@"
