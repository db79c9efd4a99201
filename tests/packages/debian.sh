#!/usr/bin/env bash
# Installs the Debian package in a scratch root, with a real systemd as process 1: first counter,
# reload, refused reload, restart with state, upgrade, removal, purge. It needs root, debootstrap
# and a registry of Debian packages; otherwise it prints SKIPPED and why.
#
# usage: debian.sh PACKAGE.deb FOLDER        FOLDER keeps the scratch root for the next run
set -euo pipefail

package=$(realpath "$1")
mkdir -p "$2"
root=$(realpath "$2")/debian-root

skip() { echo "SKIPPED: the Debian package, for want of $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip "root"
command -v debootstrap >/dev/null || skip "debootstrap: apt-get install debootstrap"

if [ ! -e "$root/complete" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --include=adduser,systemd,systemd-sysv,dbus,netcat-openbsd \
        bookworm "$root" >"$root.log" 2>&1 || skip "a Debian root; see $root.log"
    touch "$root/complete"
fi
cp "$package" "$root/root/statsd.deb"

if command -v lintian >/dev/null; then
    errors=$(lintian "$package" 2>/dev/null | grep '^E:' || true)
    [ -z "$errors" ] || { echo "$errors"; exit 1; }
fi

# What process 1 of the new namespaces does: it makes the folders of a system, and becomes systemd.
boot() {
    mount --make-rprivate /
    mount --bind "$root" "$root"
    cd "$root"
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t proc proc proc
    mount --rbind /sys sys
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t tmpfs tmpfs dev
    mkdir dev/pts dev/shm dev/mqueue dev/hugepages
    local name
    for name in null zero full random urandom tty; do
        touch "dev/$name"
        mount --bind "/dev/$name" "dev/$name"
    done
    ln -s /proc/self/fd dev/fd
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ip link set lo up
    mkdir -p old-root
    pivot_root . old-root
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        chroot . sh -c 'umount -l /old-root; exec /lib/systemd/systemd --log-target=null'
}

export root
export -f boot
unshare --mount --pid --ipc --uts --net --fork --kill-child bash -euc boot >"$root.boot" 2>&1 &
outer=$!
init=
trap 'kill -KILL ${init:-$outer} 2>/dev/null || true' EXIT

# Runs a command in the scratch system.
inside() {
    nsenter -t "$init" -m -p -n -i -u \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# Repeats a command until it succeeds, for at most half a minute.
until_true() {
    local attempt
    for attempt in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "waited 30 s for: $*" >&2
    inside journalctl --no-pager -u statsd.service >&2 || true
    exit 1
}

has_init() { init=$(pgrep -P "$outer") && inside systemctl is-system-running --wait; }
has_count() { inside statsd --ask counters | grep -q "\"foo\": $1,"; }
expect() {
    local expected=$1
    shift
    local found
    found=$("$@" || true)
    [ "$found" = "$expected" ] || { echo "$*: expected $expected, not $found" >&2; exit 1; }
}
step() { echo "debian: $*"; }

until_true has_init
inside dpkg --purge statsd >/dev/null 2>&1 || true

step "install, and count"
began=$(date +%s)
inside dpkg -i /root/statsd.deb >/dev/null
inside sh -c 'echo "foo:3|c" | nc -u -w1 127.0.0.1 8125'
until_true has_count 3
echo "debian: a first counter after $(($(date +%s) - began)) s"
expect active inside systemctl is-active statsd.service

step "reload"
inside sed -i 's/^address = .*/&\nqueue = 2m/' /etc/statsd.conf
inside systemctl reload statsd
until_true inside sh -c 'statsd --ask config | grep -q "^queue = 2m"'

step "a refused reload changes nothing"
inside sh -c 'echo "bnid = 1" >> /etc/statsd.conf'
inside systemctl reload statsd
expect active inside systemctl is-active statsd.service
inside sed -i '/^bnid/d' /etc/statsd.conf

step "restart and upgrade keep the open interval, the configuration and the sockets"
inside systemctl restart statsd
has_count 3
inside dpkg -i /root/statsd.deb >/dev/null 2>&1
until_true has_count 3
inside grep -q '^queue = 2m' /etc/statsd.conf
expect "NRestarts=0" inside systemctl show statsd -p NRestarts

step "the sandbox"
exposure=$(inside systemd-analyze security statsd.service --no-pager | grep -o 'level.*: [0-9.]*')
echo "debian: exposure $exposure"
[ "$(echo "${exposure##* } <= 1.5" | awk '{ print ($1 <= $3) }')" = 1 ]

step "removal keeps the state, purge does not"
inside dpkg -r statsd >/dev/null 2>&1
expect inactive inside systemctl is-active statsd.socket
inside test -e /etc/statsd.conf -a -e /var/lib/statsd/state
inside dpkg -P statsd >/dev/null 2>&1
inside test ! -e /etc/statsd.conf -a ! -e /var/lib/statsd
echo "debian: ok"
