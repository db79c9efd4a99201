#!/usr/bin/env bash
# Installs what the tests talk to into .peers: Graphite's carbon and whisper, StatsD clients for Python, Node
# and Rust, and Node's statsd, the reference. A second run finds its stamp and does nothing.
# What only some tests need may fail: .peers/without then has a file of its name with the reason, and they skip.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
peers=$(realpath -m "$here/../../.peers") # npm fails in a folder behind a symbolic link
pins=("$here/install.sh" "$here/build-requirements.txt" "$here/requirements.txt"
      "$here/graphite-web.txt" "$here/npm/package.json" "$here/npm/package-lock.json"
      "$here/rust/Cargo.toml" "$here/rust/Cargo.lock" "$here/rust/src/main.rs")

say() { echo "peers: $*"; }

# Names the Debian packages this machine lacks. Each is looked for by what the tests use of it.
missing_packages() {
    [[ $(nc -h 2>&1) == *OpenBSD* ]] || echo netcat-openbsd
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v npm >/dev/null || echo npm
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Names those whose tests are skipped without them.
missing_servers() {
    command -v influxd >/dev/null || echo influxdb
    PATH=$PATH:/usr/sbin command -v gmond >/dev/null || echo ganglia-monitor
}

install_packages() {
    [ $# -eq 0 ] && return
    if ! may_install; then
        say "please install first, as root: apt-get install $*" >&2
        exit 1
    fi
    say "installing from Debian: $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

install_servers() {
    [ $# -eq 0 ] && return
    if may_install && install_packages "$@"; then
        return
    fi
    say "the tests against these are skipped without them: apt-get install $*" >&2
}

install_python() {
    say "installing carbon, whisper and the Python clients statsd and datadog into .peers/venv"
    rm -rf "$peers/venv"
    python3 -m venv "$peers/venv"
    local pip=("$peers/venv/bin/python" -m pip --quiet --disable-pip-version-check install)
    "${pip[@]}" -r "$here/build-requirements.txt"
    # Without the prefix they install as any package does, instead of into /opt/graphite.
    GRAPHITE_NO_PREFIX=True "${pip[@]}" --no-build-isolation -r "$here/requirements.txt"
}

install_node() {
    say "installing Node's statsd and clients for Node into .peers/npm"
    rm -rf "$peers/npm"
    mkdir -p "$peers/npm"
    cp "$here/npm/package.json" "$here/npm/package-lock.json" "$peers/npm"
    npm ci --prefix "$peers/npm" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
}

# optional NAME COMMAND…: a failure costs the tests that need NAME, and is reported again at each run.
optional() {
    local name=$1 reason=$peers/without/$1
    shift
    mkdir -p "$peers/without"
    if ("$@") >"$reason" 2>&1; then
        rm "$reason"
    fi
}

# The addon that hot-shots sends unix datagrams with. It is compiled against the headers that come with Node,
# since node-gyp would download others.
install_unix_dgram() {
    say "compiling unix-dgram for hot-shots" >&3
    local node
    node=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
    [ -e "$node/include/node/node.h" ] || { echo "Node has no headers here"; return 1; }
    npm rebuild --prefix "$peers/npm" unix-dgram --nodedir="$node" --loglevel=error || return
    [ -e "$peers/npm/node_modules/unix-dgram/build/Release/unix_dgram.node" ] ||
        { echo "npm did not compile it"; return 1; }
}

install_rust() {
    say "building clients for Rust into .peers/rust" >&3
    cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml" --target-dir "$peers/rust"
}

install_graphite_web() {
    say "installing graphite-web into .peers/venv" >&3
    local python=$peers/venv/bin/python
    GRAPHITE_NO_PREFIX=True "$python" -m pip --quiet --disable-pip-version-check install \
        --no-build-isolation --no-deps -r "$here/graphite-web.txt" || return
    "$python" -c 'import cairocffi' 2>/dev/null && return
    if may_install; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libcairo2
    fi
    "$python" -c 'import cairocffi' || { echo "there is no libcairo: apt-get install libcairo2"; return 1; }
}

# Unpacked rather than installed: the package would start a relay of its own, on carbon's port.
install_relay() {
    say "unpacking Debian's carbon-c-relay into .peers/relay" >&3
    rm -rf "$peers/relay"
    mkdir -p "$peers/relay"
    cd "$peers/relay" || return
    if command -v carbon-c-relay; then
        ln -s "$(command -v carbon-c-relay)" carbon-c-relay
    else
        local download=(apt-get download -qq -o APT::Sandbox::User="$(id -un)" carbon-c-relay)
        "${download[@]}" || { may_install && apt-get update -qq && "${download[@]}"; } ||
            { echo "there is none, nor can apt-get download it"; return 1; }
        dpkg-deb -x carbon-c-relay_*.deb . && ln -s usr/bin/carbon-c-relay carbon-c-relay
    fi
    ./carbon-c-relay -v
}

tell_what_is_missing() {
    local reason
    for reason in "$peers"/without/*; do
        [ -e "$reason" ] || continue
        say "WITHOUT ${reason##*/}, which some tests need and skip: $(tail -n 1 "$reason")" >&2
        say "\`rm .peers/stamp\` has the next run try again" >&2
    done
}

exec 3>&1 # what an optional part says of itself, past the reason it may leave

mapfile -t missing < <(missing_packages)
install_packages "${missing[@]}"
mapfile -t servers < <(missing_servers)
install_servers "${servers[@]}"

want=$(cat "${pins[@]}" | sha256sum)
if [ "$(cat "$peers/stamp" 2>/dev/null)" = "$want" ]; then
    tell_what_is_missing
    say "up to date"
    exit 0
fi
rm -f "$peers/stamp"
mkdir -p "$peers"
install_python
install_node
optional unix-dgram install_unix_dgram
optional rust install_rust
optional graphite-web install_graphite_web
optional carbon-c-relay install_relay
tell_what_is_missing
echo "$want" >"$peers/stamp"
say "done"
