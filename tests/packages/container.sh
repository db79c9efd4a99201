#!/usr/bin/env bash
# Runs the static binary as a container runs it: alone on a read-only root, as process 1, as a user
# without an account, configured by the environment, with a log that nobody reads. With podman it
# also builds the image and runs that. It needs root; otherwise it prints SKIPPED and why.
#
# usage: container.sh BINARY FOLDER
set -euo pipefail
name=container
. "$(dirname "$0")/common.sh"

need_root
has podman podman && has runc runc || echo "SKIPPED: the image, for want of podman and runc"
in_own_network "$@"
binary=$(realpath "$1")
dockerfile=$(realpath "$(dirname "$0")/../../packaging/container/Dockerfile")
make_work "$2"
readonly carbon=22003 udp=28125 admin=28126
receive_points $carbon

# Variables as an operator and Kubernetes set them.
settings=(STATSD_CARBON_ADDRESS=graphite:$carbon STATSD_UDP_BIND=127.0.0.1:$udp STATSD_TCP_BIND=
    STATSD_ADMIN_BIND=127.0.0.1:$admin STATSD_STATSD_FLUSH_INTERVAL=1s STATSD_STATSD_DUMP_MESSAGES=yes
    STATSD_PORT=tcp://10.0.0.1:8125 STATSD_ADMIN_SERVICE_HOST=10.0.0.1)
ask() { env -i "${settings[@]}" "$binary" --ask "$1"; }
send() { echo "$1" >/dev/udp/127.0.0.1/$udp; }
begin() {
    step "$1"
    began=$(date +%s)
}
first_counter() {
    send "$1:3|c"
    has_point "stats_counts.$1 3"
    local seconds=$(($(date +%s) - began))
    step "a first counter after $seconds s"
    [ $seconds -le 60 ]
}

begin "a read-only root with the binary alone"
root=$work/root
mkdir -p "$root"/{proc,dev,etc}
cp "$binary" "$root/statsd"
echo "127.0.0.1 graphite" >"$root/etc/hosts" # a container engine writes it
touch "$root/dev/null"
mkfifo "$work/log"
sleep 600 <>"$work/log" & # holds the pipe open, and never reads
pids+=($!)
start() {
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev/null "$root/dev/null"
    mount -o remount,ro,bind "$root"
    exec env -i "${@:2}" "$(command -v chroot)" --userspec=65532:65532 "$root" /statsd
}
export root
export -f start
unshare --mount --pid --fork --kill-child bash -euc 'start "$@"' - - "${settings[@]}" 2>"$work/log" &
outer=$!
pids+=($outer)
has_server() { server=$(pgrep -P $outer); }
until_true has_server
pids+=("$server")
until_true is_up
[ "$(awk '/^NSpid/ { print $3 }' "/proc/$server/status")" = 1 ]
[ "$(awk '/^Uid/ { print $2 }' "/proc/$server/status")" = 65532 ]
first_counter hits

step "every received line is logged, until the pipe of the log is full"
for round in $(seq 200); do send "$round:$(printf 'x%.0s' {1..1200})"; done
ask info >/dev/null
send "later:4|c"
has_point "stats_counts.later 4"
kill -TERM "$server"
wait $outer && status=0 || status=$?
[ $status = 0 ] || { echo "it ended with $status" >&2; exit 1; }

if command -v podman runc >/dev/null; then
    begin "the image, built and run by podman"
    mkdir "$work/image"
    cp "$dockerfile" "$work/image/Dockerfile"
    cp "$binary" "$work/image/statsd"
    # Without systemd, and with limits that a machine without CAP_SYS_RESOURCE may set.
    pod=(podman --cgroup-manager=cgroupfs --runtime runc)
    "${pod[@]}" build -q --format docker -t statsd-test "$work/image" >/dev/null
    bytes=$(podman image inspect statsd-test --format '{{.Size}}')
    step "the image has $bytes bytes"
    [ "$bytes" -lt $((4 << 20)) ]
    variables=()
    for setting in "${settings[@]/graphite/localhost}"; do variables+=(-e "$setting"); done
    if "${pod[@]}" run -d --name statsd-test --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
        --network host --read-only --user 4711 \
        "${variables[@]}" statsd-test >/dev/null 2>"$work/podman"; then
        until_true is_up
        first_counter image
        "${pod[@]}" healthcheck run statsd-test 2>/dev/null
        "${pod[@]}" stop statsd-test >/dev/null 2>&1
        [ "$(podman inspect statsd-test --format '{{.State.ExitCode}}')" = 0 ]
    else
        echo "SKIPPED: running the image, since podman cannot here: $(tail -1 "$work/podman")"
    fi
    "${pod[@]}" rm -f statsd-test >/dev/null 2>&1 || true
    podman rmi statsd-test >/dev/null 2>&1 || true
fi
step "ok"
