#!/usr/bin/env bash
# Builds the server for 64-bit Arm and runs it under qemu: first counter over UDP, TCP and a unix
# socket, reload, restart with state, and the tests of the unsafe code. The compiler is that of
# Debian's unstable release, in a scratch root. It needs root, debootstrap and a registry of Debian
# packages; otherwise it prints SKIPPED and why.
#
# usage: arm.sh FOLDER      FOLDER keeps the scratch root and the build for the next run
set -euo pipefail

source=$(realpath "$(dirname "$0")/../..")
mkdir -p "$1"
root=$(realpath "$1")/arm-root
target=aarch64-unknown-linux-gnu

skip() { echo "SKIPPED: the Arm build, for want of $*"; exit 0; }
step() { echo "arm: $*"; }
[ "$(id -u)" = 0 ] || skip "root"
[ "$(uname -m)" = x86_64 ] || skip "a machine to cross-build on: this one is $(uname -m)"
command -v debootstrap >/dev/null || skip "debootstrap: apt-get install debootstrap"

if [ ! -e "$root/complete" ]; then
    step "a root with Debian's compiler for Arm: about 1.5 GB, and some minutes"
    rm -rf "$root"
    {
        debootstrap --variant=minbase sid "$root" &&
            chroot "$root" dpkg --add-architecture arm64 &&
            chroot "$root" apt-get -qq update &&
            chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
                install cargo rustc libstd-rust-dev:arm64 gcc-aarch64-linux-gnu libc6-dev:arm64 gcc \
                libc6-dev qemu-user netcat-openbsd procps ca-certificates
    } >"$root.log" 2>&1 || skip "Debian's compiler for Arm; see $root.log"
    touch "$root/complete"
fi
mkdir -p "$root/source" "$root/cargo" "$root/build"

# Everything runs in namespaces that end with this script.
inside() {
    mount --make-rprivate /
    mount --bind "$source" "$root/source"
    mount --bind "${CARGO_HOME:-$HOME/.cargo}" "$root/cargo"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp "$source/tests/packages/arm_inside.sh" "$root/tmp/inside.sh"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp CARGO_HOME=/cargo \
        CARGO_TARGET_DIR=/build CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc bash /tmp/inside.sh "$target"
}
export root source target
export -f inside
unshare --mount --pid --fork --kill-child bash -euc inside
