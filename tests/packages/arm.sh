#!/usr/bin/env bash
# Runs the static binary for 64-bit Arm under qemu: first counter over UDP, TCP and a unix
# socket, reload, restart with state, and the tests of the unsafe code. On a 64-bit Arm machine
# nothing is emulated.
#
# usage: arm.sh BINARY FOLDER
set -euo pipefail
name=arm
. "$(dirname "$0")/common.sh"

emulator=
filter=()
if [ "$(uname -m)" != aarch64 ]; then
    need qemu-aarch64 qemu-user
    emulator=qemu-aarch64
    # qemu gives the kernel another buffer for control messages, and has no SO_MEMINFO. So it fails
    # the tests of what the kernel does when that buffer is full, and of dropped datagrams.
    filter=(--skip descriptor --skip room_for_the_credentials --skip what_it_dropped)
fi

# Cargo may have to download something, so this part runs before the other network is made.
if [ -z "${IN_OWN_NETWORK:-}" ]; then
    step "the tests of the unsafe code"
    (
        cd "$(dirname "$0")/../.."
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=$emulator "${CARGO:-cargo}" test \
            --profile quick --target aarch64-unknown-linux-musl --lib sys -- "${filter[@]}"
    )
fi
in_own_network "$@"

binary=$(realpath "$1")
make_work "$2"
readonly carbon=22103 port=28225 admin=28226
statsd() { $emulator "$binary" -c "$work/statsd.conf" "$@"; }

cat >"$work/statsd.conf" <<CONF
[statsd]
flush_interval = 1s
state_file = $work/state
[udp]
bind = 127.0.0.1:$port
[tcp]
bind = 127.0.0.1:$port
[unix]
datagram = $work/datagram
[admin]
bind = 127.0.0.1:$admin
[carbon]
address = 127.0.0.1:$carbon
CONF
receive_points $carbon
start() {
    $emulator "$binary" -c "$work/statsd.conf" 2>>"$work/log" &
    server=$!
    pids+=("$server")
    until_true is_up
}
ask() { statsd --ask "$1"; }
stop() {
    kill -TERM "$server"
    wait "$server"
}

step "a counter over each transport"
start
echo "udp:1|c" >/dev/udp/127.0.0.1/$port
echo "tcp:2|c" >/dev/tcp/127.0.0.1/$port
echo "unix:3|c|#env:arm" | nc -U -u -N -w1 "$work/datagram"
has_point "stats_counts.udp 1"
has_point "stats_counts.tcp 2"
has_point "stats_counts.unix;env=arm 3"

step "reload"
sed -i 's/flush_interval = 1s/flush_interval = 2s/' "$work/statsd.conf"
kill -HUP "$server"
has_interval() { ask config | grep "^flush_interval = 2s"; }
until_true has_interval

step "a restart keeps the gauges"
echo "level:42|g" >/dev/udp/127.0.0.1/$port
has_point "stats.gauges.level 42"
stop
start
ask gauges | grep -q '"level": 42'
stop
step "ok"
