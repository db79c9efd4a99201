# What arm.sh runs in its scratch root. usage: arm_inside.sh TARGET
set -euo pipefail

target=$1
statsd=(qemu-aarch64 /build/$target/release/statsd)
readonly carbon=22103 port=28225 admin=28226
work=$(mktemp -d)
pids=()
trap '{ kill -KILL "${pids[@]}"; wait; } 2>/dev/null || true' EXIT
step() { echo "arm: $*"; }
until_true() {
    local attempt
    for attempt in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "waited 30 s for: $*" >&2
    cat "$work/log" >&2
    exit 1
}

cd /source
step "build, with $(rustc --version)"
cargo build --quiet --release --locked --target "$target"
ls -l "${statsd[1]}"

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
nc -l -k 127.0.0.1 $carbon >"$work/points" &
pids+=($!)
start() {
    "${statsd[@]}" -c "$work/statsd.conf" 2>>"$work/log" &
    server=$!
    pids+=("$server")
    until_true is_up
}
ask() { "${statsd[@]}" -c "$work/statsd.conf" --ask "$1"; }
is_up() { [ "$(ask health)" = "health: up" ]; }

step "a counter over each transport"
start
echo "udp:1|c" >/dev/udp/127.0.0.1/$port
echo "tcp:2|c" >/dev/tcp/127.0.0.1/$port
echo "unix:3|c|#env:arm" | nc -U -u -N -w1 "$work/datagram"
until_true grep -q "^stats_counts.udp 1 " "$work/points"
until_true grep -q "^stats_counts.tcp 2 " "$work/points"
until_true grep -q "^stats_counts.unix;env=arm 3 " "$work/points"

step "reload"
sed -i 's/flush_interval = 1s/flush_interval = 2s/' "$work/statsd.conf"
kill -HUP "$server"
has_interval() { ask config | grep -q "^flush_interval = 2s"; }
until_true has_interval

step "a restart keeps the gauges"
echo "level:42|g" >/dev/udp/127.0.0.1/$port
until_true grep -q "^stats.gauges.level 42 " "$work/points"
kill -TERM "$server"
wait "$server"
start
ask gauges | grep -q '"level": 42'
kill -TERM "$server"
wait "$server"

step "the tests of the unsafe code"
cargo test --quiet --locked --target "$target" --lib sys
echo "arm: ok"
