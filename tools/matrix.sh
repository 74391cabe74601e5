#!/usr/bin/env bash
# Runs the tests on newer versions of PostgreSQL than this machine's, each in a folder of the Debian that has it:
#   tools/matrix.sh 17 18              `make test` there with each, and pg_upgrade to it from the version before
#   tools/matrix.sh run 17 command…    a command there, in the copy of these sources
# ARGS goes to pytest, as with `make test`; SUITE_ONLY=1 leaves out pg_upgrade, UPGRADE_ONLY=1 everything else.
#
# The folders stand in target/matrix and are used again. Each run has namespaces of its own for mounts, processes and
# shared memory: whatever ends it, the kernel undoes the mounts and ends what was started.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

MATRIX=$ROOT/target/matrix
HOUSE=/srv/pgseal # where the sources are copied to, inside
MIRROR=${MIRROR:-}

# The mirror that this machine's apt uses, where it is a Debian; otherwise debootstrap takes its own.
apt_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE 's#^(URIs:|deb)( .*)? (https?://[^ ]*/debian)/?( .*)?$#\3#p' | head -n 1
}

# choose major: sets SUITE, which has this version, and OLD_SUITE with OLD_MAJOR, where pg_upgrade begins.
choose() {
    case $1 in
    17) SUITE=trixie OLD_SUITE=bookworm OLD_MAJOR=15 ;;
    18) SUITE=sid OLD_SUITE=trixie OLD_MAJOR=17 ;;
    *) die "PostgreSQL $1 is in no Debian that this script knows: say 17 or 18" ;;
    esac
    FOLDER=$MATRIX/$SUITE
}

make_folder() {
    # An interrupted debootstrap leaves a folder that looks whole.
    rm -rf "$FOLDER" "$FOLDER.new"
    MIRROR=${MIRROR:-$(apt_mirror || true)}
    debootstrap --variant=minbase --include=ca-certificates,make "$SUITE" "$FOLDER.new" ${MIRROR:+"$MIRROR"}
    # No service starts: there is nobody to start it.
    printf '#!/bin/sh\nexit 101\n' >"$FOLDER.new/usr/sbin/policy-rc.d"
    chmod 755 "$FOLDER.new/usr/sbin/policy-rc.d"
    mv "$FOLDER.new" "$FOLDER"
}

# What this machine has been told about the network holds inside too: names, certificates, how apt and pip fetch.
take_configuration() {
    local file
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        if [ -e "$file" ]; then
            install -D -m 644 "$file" "$FOLDER$file"
        fi
    done
    apt-config dump | grep -E '^Acquire::(Check|http|https|Retries)' >"$FOLDER/etc/apt/apt.conf.d/90pgseal-matrix" || true
    # The version where pg_upgrade begins comes from its own Debian, and nothing else does.
    echo "deb $(awk '$1 == "deb" { print $2; exit }' "$FOLDER/etc/apt/sources.list") $OLD_SUITE main" \
        >"$FOLDER/etc/apt/sources.list.d/pgseal-matrix.list"
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$OLD_SUITE" >"$FOLDER/etc/apt/preferences.d/pgseal-matrix"
}

# The sources as they stand here, committed or not; what was built inside stays.
copy_sources() {
    mkdir -p "$FOLDER$HOUSE"
    find "$FOLDER$HOUSE" -mindepth 1 -maxdepth 1 ! -name target ! -name .venv -exec rm -rf {} +
    git -C "$ROOT" ls-files -z --cached --others --exclude-standard --deduplicate |
        (cd "$ROOT" && while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done) |
        tar -C "$ROOT" --null --files-from=- --create --owner=root --group=root | tar -C "$FOLDER$HOUSE" --extract
}

# cargo's downloads are shared by all folders. cargo-pgrx is this machine's where it runs inside; otherwise
# tools/pgrx.sh builds one.
share_cargo() {
    mkdir -p "$MATRIX/cargo/bin"
    if [ ! -e "$MATRIX/cargo/bin/cargo-pgrx" ] && command -v cargo-pgrx >/dev/null; then
        cp "$(command -v cargo-pgrx)" "$MATRIX/cargo/bin/"
    fi
}

# inside command…: as root in the folder, the toolchain of this machine read-only at /opt/rust.
# What is process 1 there must collect the processes that lost their parent: the shell does, as long as it is not
# replaced by its last command.
inside() {
    local toolchain
    toolchain=$(rustc --print sysroot)
    mkdir -p "$FOLDER/opt/rust" "$FOLDER/root/.cargo"
    # shellcheck disable=SC2016
    unshare --mount --propagation private --pid --ipc --fork --kill-child bash -euc '
        folder=$1 toolchain=$2 cargo=$3 house=$4
        shift 4
        mount -t proc proc "$folder/proc"
        mount -t sysfs -o ro sysfs "$folder/sys"
        mount --rbind /dev "$folder/dev"
        mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
        mount --bind "$toolchain" "$folder/opt/rust"
        mount -o remount,bind,ro "$folder/opt/rust"
        mount --bind "$cargo" "$folder/root/.cargo"
        exec chroot "$folder" env -u MAKEFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u PG_CONFIG -u PG_MAJOR -u CARGO_HOME \
            -u CARGO_TARGET_DIR -u RUSTUP_HOME -u RUSTUP_TOOLCHAIN -u PGRX_HOME -u PGRX_PG_CONFIG_PATH -u TMPDIR \
            HOME=/root PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            bash -c "cd $house && \"\$@\"; exit \$?" bash "$@"
    ' bash "$FOLDER" "$toolchain" "$MATRIX/cargo" "$HOUSE" "$@"
}

# What a major has said at the end, from the log that it leaves.
summary() { grep -aE '^(=+ )?[0-9]+ (passed|failed)|^=+ .*(passed|failed|error).* =+$' "$1" | tail -n 2 | sed 's/^/  /'; }

prepare() {
    choose "$1"
    share_cargo
    [ -d "$FOLDER" ] || run_step "making a Debian $SUITE in ${FOLDER#"$ROOT"/} (two minutes)" "debootstrap-$SUITE" make_folder
    take_configuration
    copy_sources
}

run_major() {
    local major=$1 log=$MATRIX/$1.log status=0
    prepare "$major"
    : >"$log"
    if [ -z "${UPGRADE_ONLY:-}" ]; then
        inside make test PG_MAJOR="$major" ARGS="${ARGS:-}" JOBS="${JOBS:-2}" 2>&1 | tee -a "$log" || status=1
    fi
    if [ -z "${SUITE_ONLY:-}" ]; then
        inside make test-upgrade PG_MAJOR="$major" OLD_MAJOR="$OLD_MAJOR" 2>&1 | tee -a "$log" || status=1
    fi
    return "$status"
}

[ "$(id -u)" -eq 0 ] || die "debootstrap and chroot need root: say sudo make test-matrix"
command -v debootstrap >/dev/null || run_step "installing debootstrap" debootstrap apt-get install -q -y --no-install-recommends debootstrap
if [ "${1:-}" = run ]; then
    prepare "$2"
    shift 2
    inside "$@"
    exit
fi

status=0
for major in "$@"; do
    run_major "$major" || status=1
done
for major in "$@"; do
    say "PostgreSQL $major:"
    summary "$MATRIX/$major.log" >&2
done
exit "$status"
