#!/usr/bin/env bash
# Installs what the tests talk to into .peers: Graphite's carbon and whisper, the Python and Node
# StatsD clients, and Node's statsd, the reference. A second run finds its stamp and does nothing.
# InfluxDB comes from Debian where this may install packages; elsewhere its tests say that they are skipped.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
peers=$(cd "$here/../.." && pwd)/.peers
pins=("$here/install.sh" "$here/build-requirements.txt" "$here/requirements.txt"
      "$here/npm/package.json" "$here/npm/package-lock.json")

say() { echo "peers: $*"; }

# Names the Debian packages this machine lacks. Each is looked for by what the tests use of it.
missing_packages() {
    [[ $(nc -h 2>&1) == *OpenBSD* ]] || echo netcat-openbsd
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v npm >/dev/null || echo npm
}

# Names those whose tests are skipped without them.
missing_servers() {
    command -v influxd >/dev/null || echo influxdb
}

may_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
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
    say "installing carbon, whisper and the Python client statsd into .peers/venv"
    rm -rf "$peers/venv"
    python3 -m venv "$peers/venv"
    local pip=("$peers/venv/bin/python" -m pip --quiet --disable-pip-version-check install)
    "${pip[@]}" -r "$here/build-requirements.txt"
    # Without the prefix they install as any package does, instead of into /opt/graphite.
    GRAPHITE_NO_PREFIX=True "${pip[@]}" --no-build-isolation -r "$here/requirements.txt"
}

install_node() {
    say "installing Node's statsd and the client hot-shots into .peers/npm"
    rm -rf "$peers/npm"
    mkdir -p "$peers/npm"
    cp "$here/npm/package.json" "$here/npm/package-lock.json" "$peers/npm"
    npm ci --prefix "$peers/npm" --omit=optional --ignore-scripts --no-audit --no-fund \
        --loglevel=error >/dev/null
}

mapfile -t missing < <(missing_packages)
install_packages "${missing[@]}"
mapfile -t servers < <(missing_servers)
install_servers "${servers[@]}"

want=$(cat "${pins[@]}" | sha256sum)
if [ "$(cat "$peers/stamp" 2>/dev/null)" = "$want" ]; then
    say "up to date"
    exit 0
fi
rm -f "$peers/stamp"
mkdir -p "$peers"
install_python
install_node
echo "$want" >"$peers/stamp"
say "done"
