# Boots a Debian root with a real systemd as process 1, in namespaces of its own. For the scripts in
# this folder, which source it. It needs root and debootstrap.
. "$(dirname "$0")/common.sh"

readonly packages=adduser,systemd,systemd-sysv,dbus,make,netcat-openbsd

need_debootstrap() {
    need_root
    need debootstrap debootstrap
}

# make_root SUITE ROOT: a root of a Debian release. It is kept for the next run.
make_root() {
    local suite=$1 root=$2
    [ "$(cat "$root/complete" 2>/dev/null)" = $packages ] && return
    rm -rf "$root"
    debootstrap --variant=minbase --include=$packages "$suite" "$root" >"$root.log" 2>&1 ||
        skip "a root of Debian's $suite; see $root.log"
    echo $packages >"$root/complete"
}

# What process 1 of the new namespaces does: it makes the folders of a system, and becomes systemd.
become_systemd() {
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
    local device
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    ln -s /proc/self/fd dev/fd
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ip link set lo up
    mkdir -p old-root
    pivot_root . old-root
    # systemd mounts credentials in a process of its own, so its mounts must be shared.
    # systemd 256 and 257 accept this layout of cgroups only if they are told to.
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        SYSTEMD_PROC_CMDLINE="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" \
        chroot . sh -c 'umount -l /old-root; mount --make-rshared /
            exec /lib/systemd/systemd --log-target=null'
}

# boot ROOT: starts the system and waits until it is up. It ends with the script.
boot() {
    root=$1
    export root
    export -f become_systemd
    unshare --mount --pid --ipc --uts --net --fork --kill-child \
        bash -euc become_systemd >"$root.boot" 2>&1 &
    outer=$!
    init=
    trap halt EXIT
    until_true has_init
}

# A unit that has nothing to do with the server may fail in such a root: the system is "degraded".
has_init() {
    init=$(pgrep -P "$outer") || return
    local state
    state=$(inside systemctl is-system-running --wait || true)
    [ "$state" = running ] || [ "$state" = degraded ]
}

halt() {
    kill -KILL "${init:-$outer}" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
}

# Runs a command in the booted system.
inside() {
    nsenter -t "$init" -m -p -n -i -u \
        env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

show_log() { inside journalctl --no-pager -u statsd.service; }

# expect TEXT COMMAND…: the command prints this text.
expect() {
    local expected=$1
    shift
    local found
    found=$("$@" || true)
    [ "$found" = "$expected" ] || { echo "$*: expected $expected, not $found" >&2; exit 1; }
}

send_count() { inside sh -c 'echo "foo:3|c" | nc -u -w1 127.0.0.1 8125'; }
count() { inside statsd --ask counters | grep -o '"foo": [0-9]*' | grep -o '[0-9]*$'; }
has_count() { [ "$(count)" -gt 0 ]; }

# A reload applies a changed file. The new interval is so long that no flush comes between the steps
# that follow, however busy the machine is.
check_reload() {
    inside sed -i 's/^address = .*/&\nqueue = 2m/; s/^state_file = .*/&\nflush_interval = 10m/' \
        /etc/statsd.conf
    inside systemctl reload statsd
    until_true inside sh -c 'statsd --ask config | grep -q "^queue = 2m"'
}

# A flush may end the interval between a count and the look at it. So it is sent until it is seen.
count_arrives() { send_count && has_count; }

# survives COMMAND…: a count of the open interval is still there after the command. A flush in
# between spoils an attempt; see `check_reload`.
survives() {
    local attempt before
    for attempt in $(seq 5); do
        until_true count_arrives
        before=$(count)
        "$@" >/dev/null 2>&1
        until_true inside statsd --ask stats
        [ "$(count)" = "$before" ] && return
    done
    echo "the count is lost by: $*" >&2
    exit 1
}

# The server keeps the receive buffer of statsd.socket, however low the limit of the kernel is.
check_buffer() {
    expect "listener0.recv_buffer_bytes:$((8 << 20))" \
        inside sh -c 'statsd --ask info | grep "^listener0.recv_buffer"'
}

# The exposure that systemd rates the service at, which must be at most 1.5.
check_sandbox() {
    local exposure
    exposure=$(inside systemd-analyze security statsd.service --no-pager | grep -o 'level.*: [0-9.]*')
    step "exposure $exposure"
    [ "$(echo "${exposure##* } <= 1.5" | awk '{ print ($1 <= $3) }')" = 1 ]
}
