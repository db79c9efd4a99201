#!/usr/bin/env bash
# Sees to the servers that `make bench` compares with: collectd and netdata from Debian, Node's statsd from
# tests/peers/install.sh. What cannot be installed here is named, and how to get it; the run skips it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin

say() { echo "peers: $*"; }

has() { command -v "$1" >/dev/null; }

# Debian packages to install, by the program that each brings. netcat feeds statsite's flush to carbon.
missing_packages() {
    has collectd || echo collectd-core
    has netdata || echo netdata-core
    has nc || echo netcat-openbsd
}

# A package's own service would hold ports 8125 and 19999, and take CPU in the run: the bench starts its own.
# While this policy is there, Debian starts no service that it installs.
policy=/usr/sbin/policy-rc.d

install_packages() {
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        say "not installed: $* (as root on Debian: apt-get install --no-install-recommends $*)"
        return
    fi
    say "installing from Debian: $*"
    local ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        say "not installed: $* (apt-get failed)"
    if [ -n "$ours" ]; then
        rm -f "$policy"
        trap - EXIT
        # Nor at the next boot.
        has systemctl && systemctl disable --quiet collectd netdata 2>/dev/null || true
    fi
}

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

"$root/tests/peers/install.sh" || say "not installed: Node's statsd (see above)"

# In no registry that this script could use.
elsewhere() {
    has "$1" || say "not installed: $1 ($2)"
}
elsewhere statsite "build https://github.com/statsite/statsite, and put it on the PATH"
elsewhere brubeck "build https://github.com/github/brubeck, and put it on the PATH"
elsewhere gostatsd "go install github.com/atlassian/gostatsd/cmd/gostatsd@latest"
elsewhere telegraf "the package of https://github.com/influxdata/telegraf"
