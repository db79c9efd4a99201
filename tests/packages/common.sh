# For the scripts in this folder, which source it. A script sets `name` for its messages first, and
# appends the ids of processes that must end with it to `pids`.

pids=()
trap '{ kill -KILL "${pids[@]}"; wait; } 2>/dev/null || true; rm -rf "${work:-}"' EXIT

skip() { echo "SKIPPED: $name, for want of $*"; exit 0; }
step() { echo "$name: $*"; }

need_root() { [ "$(id -u)" = 0 ] || skip "root"; }

# in_own_network "$@": as root, runs the script in a network of its own, so that its ports are free.
in_own_network() {
    [ "$(id -u)" = 0 ] && [ -z "${IN_OWN_NETWORK:-}" ] || return 0
    IN_OWN_NETWORK=yes exec unshare --net bash -c 'ip link set lo up; exec "$0" "$@"' "$0" "$@"
}

# has PROGRAM PACKAGE: the program is here. Root installs it from Debian.
has() {
    local PATH=$PATH:/usr/sbin
    command -v "$1" >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
    step "installing $2 from Debian"
    {
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -y \
                --no-install-recommends install "$2"
    } >/dev/null 2>&1 && command -v "$1" >/dev/null
}
need() { has "$1" "$2" || skip "$1: apt-get install $2"; }

# Makes an empty folder, `work`, below FOLDER. It is removed at the end.
make_work() {
    mkdir -p "$1"
    work=$(mktemp -d -p "$(realpath "$1")")
}

# Repeats a command until it succeeds, for at most half a minute.
until_true() {
    local attempt
    for attempt in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "waited 30 s for: $*" >&2
    show_log >&2 || true
    exit 1
}
show_log() { timeout 1 cat "$work/log"; } # the log may be a pipe that stays open

# Receives the points that a server sends to PORT of loopback, in the file `points`.
receive_points() {
    nc -l -k 127.0.0.1 "$1" >"$work/points" &
    pids+=($!)
}
has_point() { until_true grep -q "^$1 " "$work/points"; }

# The function `ask` of the script asks its server.
is_up() { [ "$(ask health)" = "health: up" ]; }
