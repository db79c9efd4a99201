#!/usr/bin/env bash
# Runs the browser tests: run.sh BINARY FOLDER. The screenshots are written to FOLDER. Installs, once,
# chromium from Debian if this is root, and from npm what drives it, into .peers/browser.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
browser=$(cd "$here/../.." && pwd)/.peers/browser

skip() {
    echo "browser: SKIPPED: $*" >&2
    exit 0
}

install_chromium() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
    echo "browser: installing chromium from Debian"
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null
}

command -v node >/dev/null && command -v npm >/dev/null || skip "there is no Node.js with npm"
command -v chromium >/dev/null || install_chromium ||
    skip "there is no chromium. As root: apt-get install chromium"

want=$(cat "$here/package-lock.json" | sha256sum)
if [ "$(cat "$browser/stamp" 2>/dev/null)" != "$want" ]; then
    echo "browser: installing playwright-core and axe-core into .peers/browser"
    rm -rf "$browser"
    mkdir -p "$browser"
    cp "$here/package.json" "$here/package-lock.json" "$browser"
    (cd "$browser" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) ||
        skip "npm cannot install what drives the browser"
    echo "$want" >"$browser/stamp"
fi

mkdir -p "$2"
export STATSD=$1 SCREENSHOTS=$2 BROWSER=$browser
exec node --test --test-concurrency=1 ${3:+--test-name-pattern="$3"} "$here"/*.test.js
