#!/usr/bin/env bash
# Tries the package that lies beside this file, in a Debian that has nothing else: try.sh <PostgreSQL's major version>.
# tools/package-test.sh runs it. Each line that begins with «tried:» says what has been seen.
set -euo pipefail

major=$1
package=postgresql-$major-pgseal
doc=/usr/share/doc/$package
etc=/etc/postgresql/$major/main
export DEBIAN_FRONTEND=noninteractive

tried() { echo "tried: $*"; }

sql() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

# expect what wanted found
expect() {
    [ "$2" = "$3" ] || {
        printf '%s: wanted\n%s\nand found\n%s\n' "$1" "$2" "$3"
        exit 1
    }
    tried "$1: ${3//$'\n'/, }"
}

install_package() {
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/none.conf
    apt-get update -q
    apt-get install -q -y --no-install-recommends "/srv/$(cd /srv && echo "$package"_*.deb)"
    tried "installs beside $(dpkg-query -W "postgresql-$major" libc6 | tr '\t\n' ' ,')"
}

start_server() {
    pg_createcluster "$major" main -- --encoding=UTF8 >/dev/null
    (umask 077 && openssl rand -hex 32 >/etc/postgresql/pgseal.key)
    chown postgres: /etc/postgresql/pgseal.key
    cp "$doc/examples/pgseal.conf.sample" "$etc/conf.d/pgseal.conf"
    # A neighbour may listen on that port.
    echo "listen_addresses = ''" >"$etc/conf.d/nobody.conf"
    pg_ctlcluster "$major" main start
}

seal_and_verify() {
    sql 'CREATE EXTENSION pgseal'
    sql 'CREATE TABLE history (id int PRIMARY KEY, payload jsonb NOT NULL)'
    sql "SET client_min_messages = warning; SELECT seal.attach('history')" >/dev/null
    sql "INSERT INTO history (id, payload) SELECT n, jsonb_build_object('n', n) FROM generate_series(1, 100) n"
    expect 'what was inserted' 'intact|100' "$(sql 'SELECT verdict, entries FROM seal.verify_history()')"
}

tamper() {
    sql "SET session_replication_role = replica;
         ALTER TABLE history DISABLE TRIGGER ALL;
         UPDATE history SET payload = '{\"n\": 8}' WHERE id = 7;
         ALTER TABLE history ENABLE TRIGGER zzz_pgseal_seal, ENABLE ALWAYS TRIGGER zzz_pgseal_guard,
                             ENABLE ALWAYS TRIGGER zzz_pgseal_truncate"
    expect 'one row changed' 'modified|7|{"id": 7}' "$(sql 'SELECT kind, position, row_key FROM seal.findings()')"
}

purge_package() {
    local files left
    files=$(dpkg -L "$package")
    pg_ctlcluster "$major" main stop
    apt-get purge -q -y "$package"
    left=$(while IFS= read -r file; do [ -d "$file" ] || [ ! -e "$file" ] || echo "$file"; done <<<"$files")
    expect 'files that stay after a purge' '' "$left"
    [ ! -e "$doc" ] || expect 'the folder of documentation' '' "$doc"
    rm "$etc/conf.d/pgseal.conf"
    pg_ctlcluster "$major" main start
    expect 'rows that can be read without pgseal' '100' "$(sql 'SELECT count(*) FROM history')"
    pg_ctlcluster "$major" main stop
}

trap 'pg_ctlcluster "$major" main stop -m immediate 2>/dev/null || true' EXIT
install_package
start_server
seal_and_verify
tamper
purge_package
