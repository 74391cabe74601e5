#!/bin/sh
# Writes the golden files beside this script from a running server: what PostgreSQL stores and what it prints.
#
# Needs psql, a superuser and the contrib module pageinspect; the connection comes from PGHOST, PGPORT, PGUSER,
# PGDATABASE. Everything happens in a transaction that is rolled back. The database must be in UTF8.
#
#   jsonb.txt    payload of the stored jsonb (hex) · jsonb::text
#   numeric.txt  payload of the stored numeric (hex) · numeric::text; `0{n}` stands for n zeros at the end of a long text
#   float.txt    output text of a float4 or float8 · to_jsonb
#   datetime.txt  type and stored number · to_jsonb
#   string.txt   text (hex) · to_jsonb
set -eu
: "${PGHOST:?}" "${PGPORT:?}" # never some server that happens to run
here=$(cd "$(dirname "$0")" && pwd)
trap 'rm -f "$here"/*.new' EXIT

# run NAME: the SQL on standard input, between the common beginning and a rollback, into NAME.txt
run() {
    {
        cat "$here/prelude.sql"
        cat
        echo 'ROLLBACK;'
    } | psql --no-psqlrc --quiet --no-align --tuples-only --field-separator="$(printf '\t')" \
        --set=ON_ERROR_STOP=1 --file=- >"$here/$1.txt.new"
    mv "$here/$1.txt.new" "$here/$1.txt"
    wc -lc "$here/$1.txt"
}

for name in jsonb numeric float datetime string; do
    run "$name" <"$here/$name.sql"
done
