#!/usr/bin/env bash
# Builds postgresql-<major>-pgseal for Debian's PostgreSQL into target/package/, and has lintian look at it.
# Who maintains the package is its builder's to say: DEBEMAIL, EMAIL or git's user.email, under the name in DEBFULLNAME
# or that of the authors in Cargo.toml.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

FEATURE=$(pg_feature)
PACKAGE=postgresql-${FEATURE#pg}-pgseal
OUT=$ROOT/target/package
TREE=$OUT/pgseal

maintainer() {
    local name address
    name=${DEBFULLNAME:-$(sed -nE 's/^authors = \["(.*)"\]$/\1/p' Cargo.toml)}
    address=${DEBEMAIL:-${EMAIL:-$(git config user.email || true)}}
    [ -n "$address" ] || die "who maintains the package? DEBEMAIL=you@example.org make package"
    echo "$name <${address}>"
}

# Seconds since 1970: of the newest commit, or now where the sources came without their history.
newest_change() {
    git log -1 --format=%ct 2>/dev/null || date +%s
}

stage_extension() {
    PGRX_PG_CONFIG_PATH=$PG_CONFIG cargo pgrx package --pg-config "$PG_CONFIG" \
        --no-default-features --features "$FEATURE" --out-dir "$TREE/stage"
    # Where PGXS puts the headers of an extension.
    install -D -m 644 -t "$TREE/stage$("$PG_CONFIG" --includedir-server)/extension/pgseal" include/*.h
}

# The pages as they lie in the sources, with links that fit what lies around them in the package.
stage_docs() {
    local doc=$TREE/doc
    mkdir -p "$doc/docs" "$doc/benches" "$doc/examples"
    cp README.md SECURITY.md "$doc"
    cp -r docs/. "$doc/docs"
    cp benches/results.svg "$doc/benches"
    cp -r pgrx-config/pgseal.conf.sample pgrx-config/key-commands pgrx-config/witness-commands "$doc/examples"
    cp crates/chain/tests/vectors.json "$doc/examples"
    ln -s ../docs/monitoring "$doc/examples/monitoring"
    find "$doc" -name __pycache__ -prune -exec rm -rf {} +
    find "$doc" -name '*.md' -exec sed -i -E \
        -e 's#\]\((\.\./)?pgrx-config/#](\1examples/#g' \
        -e 's#\]\(\.\./crates/chain/tests/vectors\.json#](../examples/vectors.json#g' \
        -e "s#\]\(\.\./include/#]($("$PG_CONFIG" --includedir-server)/extension/pgseal/#g" \
        -e 's#\]\(LICENSE\)#](copyright)#g' \
        -e 's#\]\(CHANGELOG\.md\)#](changelog.gz)#g' \
        -e 's#\[([^]]*)\]\(CONTRIBUTING\.md\)#\1#g' \
        -e 's#\]\(\.\./\.\./docs/#](../../docs/#g' {} +
}

stage_packaging() {
    local version minimum
    version=$("$PG_CONFIG" --version)
    # Tried with this version and what follows it, and built with its headers.
    minimum=$(sed -E 's/^PostgreSQL ([0-9.]+).*/\1~/' <<<"$version")
    cp -r packaging/debian "$TREE"
    sed -i -e "s/@MAINTAINER@/$1/" -e "s/@PG_MAJOR@/${FEATURE#pg}/g" -e "s/@PG_MINIMUM@/$minimum/" "$TREE"/debian/*.in
    mv "$TREE/debian/control.in" "$TREE/debian/control"
    mv "$TREE/debian/lintian-overrides.in" "$TREE/debian/$PACKAGE.lintian-overrides"
    printf '%s\n' 'stage/usr/* usr' >"$TREE/debian/$PACKAGE.install"
    printf '%s\n' 'doc/*' third-party-licenses.txt >"$TREE/debian/$PACKAGE.docs"
    cp CHANGELOG.md "$TREE"
    python3 tools/package/changelog.py pgseal "$1" "$(newest_change)" >"$TREE/debian/changelog"
    python3 tools/package/copyright.py "$TREE" "$FEATURE"
    mv "$TREE/copyright" "$TREE/debian"
}

case $PG_CONFIG in
/usr/lib/postgresql/*/bin/pg_config) ;;
*) die "a Debian package is for a PostgreSQL of Debian: PG_MAJOR chooses which" ;;
esac
cd "$ROOT"
who=$(maintainer)
rm -rf "$OUT"
mkdir -p "$TREE"
run_step "building pgseal for $("$PG_CONFIG" --version), 2 minutes and more the first time" package-build stage_extension
stage_docs
stage_packaging "$who"
cd "$TREE"
run_step "making the package" package-deb debian/rules binary
rm -rf "$TREE"
cd "$OUT"
run_step "having lintian look at it" package-lintian lintian --fail-on error,warning --allow-root ./*.deb
say "maintained by $who:"
printf '%s\n' "$OUT"/*.deb
