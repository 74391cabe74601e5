#!/usr/bin/env bash
# Installs the package of target/package/ into a fresh Debian in a folder, tries it there (tools/package/try.sh) and takes
# it away again. SUITE says which Debian (bookworm). Needs root, for debootstrap and chroot.
#
# All of it runs in namespaces of its own: what is mounted and started ends with them, however they end.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

SUITE=${SUITE:-bookworm}

[ "$(id -u)" -eq 0 ] || die "a folder with a system of its own needs root: sudo make package-test"
if [ "${1:-}" != inside ]; then
    exec unshare --mount --pid --ipc --uts --fork --mount-proc --kill-child "$0" inside
fi

package=$(find "$ROOT/target/package" -name "postgresql-$PG_MAJOR-pgseal_*.deb")
[ -f "$package" ] || die "there is no package for PostgreSQL $PG_MAJOR in target/package: make package"
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/pgseal-package-test.XXXXXX")
# The server's user has to get through it.
chmod 755 "$folder"

clean_up() {
    umount -q --lazy "$folder/dev/shm" "$folder/proc" || true
    rm -rf --one-file-system "$folder"
}
trap clean_up EXIT

# The updates of a released Debian come from the same mirror, out of another folder.
add_security() {
    case $SUITE in
    sid | unstable) ;;
    *) sed -E "s#/debian/? $SUITE #/debian-security $SUITE-security #" "$folder/etc/apt/sources.list" \
        >"$folder/etc/apt/sources.list.d/security.list" ;;
    esac
}

prepare() {
    debootstrap --variant=minbase "$SUITE" "$folder"
    add_security
    mount --bind /proc "$folder/proc"
    mkdir -p "$folder/dev/shm"
    mount -t tmpfs tmpfs "$folder/dev/shm"
    # Packages start no services here.
    printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
    chmod 755 "$folder/usr/sbin/policy-rc.d"
    install -D -t "$folder/srv" "$package" "$ROOT/tools/package/try.sh"
}

run_step "making a folder with Debian $SUITE, a few minutes" "package-test-$SUITE" prepare
run_step "trying $(basename "$package") there" package-test \
    chroot "$folder" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    ${http_proxy:+http_proxy="$http_proxy"} bash /srv/try.sh "$PG_MAJOR"
sed -n 's/^tried: /  /p' "$LOGS/package-test.log"
