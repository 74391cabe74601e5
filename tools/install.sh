#!/usr/bin/env bash
# Builds the extension and installs it into the folders of the server that PG_CONFIG belongs to.
# Does nothing when the sources and the installed files are those of the last time.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

FEATURE=$(pg_feature)
PACKAGE=$ROOT/target/package-$FEATURE
STAMP=$ROOT/target/installed-$FEATURE

# What the build depends on: every source file, the toolchain, the server's version.
fingerprint() {
    {
        find Cargo.toml Cargo.lock pgseal.control src sql include crates .cargo rust-toolchain.toml \
            -type f -not -path '*/target/*' -print0 2>/dev/null | sort -z | xargs -0 sha256sum
        rustc --version
        "$PG_CONFIG" --version
        echo "$PG_CONFIG"
    } | sha256sum
}

# The stamp: the fingerprint in a comment, then the installed files as sha256sum lists them.
is_current() {
    [ -f "$STAMP" ] && [ "$(head -n 1 "$STAMP")" = "# $(fingerprint)" ] &&
        tail -n +2 "$STAMP" | sha256sum --check --status 2>/dev/null
}

# Where the server differs from the one that config.toml names, the build is told so.
use_pg_config() {
    local config=${PGRX_HOME:-$HOME/.pgrx}/config.toml
    if ! grep -qxF "$FEATURE = \"$PG_CONFIG\"" "$config"; then
        export PGRX_PG_CONFIG_PATH=$PG_CONFIG
    fi
}

build() {
    rm -rf "$PACKAGE"
    cargo pgrx package --pg-config "$PG_CONFIG" --no-default-features --features "$FEATURE" --out-dir "$PACKAGE"
    # What was released before, for CREATE EXTENSION pgseal VERSION.
    install -D -m 644 -t "$PACKAGE$("$PG_CONFIG" --sharedir)/extension" sql/released/*.sql
    # Where PGXS puts the headers of an extension.
    install -D -m 644 -t "$PACKAGE$("$PG_CONFIG" --includedir-server)/extension/pgseal" include/*.h
}

# Each file is copied beside its place and moved over the old one, so that a server that has the old library
# mapped keeps it, and none ever loads half of the new one.
install_files() {
    local file
    while IFS= read -r -d '' file; do
        as_root install -D -m "$([ "${file%.so}" = "$file" ] && echo 644 || echo 755)" "$PACKAGE$file" "$file.new"
        as_root mv -fT "$file.new" "$file"
    done < <(cd "$PACKAGE" && find . -type f -printf '/%P\0')
}

write_stamp() {
    {
        echo "# $(fingerprint)"
        (cd "$PACKAGE" && find . -type f -printf '/%P\0') | xargs -0 sha256sum
    } >"$STAMP"
}

cd "$ROOT"
if is_current; then
    exit 0
fi
use_pg_config
run_step "building pgseal for $("$PG_CONFIG" --version), about 2 minutes the first time" build build
install_files
write_stamp
say "installed into $("$PG_CONFIG" --pkglibdir) and $("$PG_CONFIG" --sharedir)/extension"
