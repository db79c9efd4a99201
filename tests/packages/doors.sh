#!/usr/bin/env bash
# Installs the server as a new user does: with the commands of docs/install.md and docs/migrating.md,
# in their order, in a clean root of Debian's base with a real systemd. Each way must lead to a first
# counter within a minute. What builds is left out: the files are built before. It needs root,
# debootstrap and a registry of Debian packages; otherwise it prints SKIPPED and why.
#
# usage: doors.sh PACKAGE.deb TARBALL BINARY FOLDER      FOLDER keeps the scratch root for the next run
set -euo pipefail
name=doors
. "$(dirname "$0")/system.sh"

package=$(realpath "$1")
tarball=$(realpath "$2")
binary=$(realpath "$3")
mkdir -p "$4"
folder=$(realpath "$4")
source=$(realpath "$(dirname "$0")/../..")

need_debootstrap
make_root bookworm "$folder/debian-root"
home=$folder/debian-root/root
rm -rf "$home" "$folder/debian-root/etc/statsd.conf" "$folder/debian-root/var/lib/statsd"
mkdir -p "$home"/target/{debian,release}
cp "$package" "$home/target/debian"
cp "$tarball" "$tarball.sha256" "$home/target"
cp "$binary" "$home/target/release/statsd"
cp -r "$source"/{Makefile,Cargo.toml,packaging,statsd.conf.example} "$home"
boot "$folder/debian-root"
inside dpkg --purge statsd >/dev/null 2>&1 || true

# commands PAGE HEADING N: the n-th block of commands below a heading of a page. It comes without
# `sudo`, which the root does not have, and without what builds.
commands() {
    awk -v heading="## $2" -v wanted="$3" '
        /^## / { is_below = $0 == heading }
        is_below && /^```/ { if (is_open) { is_open = 0 } else { is_open = /sh$/; count += is_open }; next }
        is_open && count == wanted' "$source/docs/$1" |
        sed 's/sudo //g; /^make \(build\|deb\|dist\)/d'
}

# drop_in HEADING N: the n-th block of the page that begins with a section of a unit.
drop_in() {
    awk -v heading="## $1" -v wanted="$2" '
        /^## / { is_below = $0 == heading }
        /^```/ { is_open = 0 }
        is_below && /^\[(Service|Socket)\]$/ { is_open = 1; count++ }
        is_open && count == wanted' "$source/docs/install.md"
}

# follow FOLDER TEXT: runs the commands, and shows them if one fails.
follow() {
    [ -n "$2" ] || { echo "the page has no such commands" >&2; exit 1; }
    inside sh -euc "cd $1; $2" >"$folder/doors.log" 2>&1 && return
    printf 'these commands fail:\n%s\n' "$2" >&2
    cat "$folder/doors.log" >&2
    exit 1
}

begin() {
    step "$1"
    began=$(date +%s)
}

first_counter() {
    until_true count_arrives
    local seconds=$(($(date +%s) - began))
    step "a first counter after $seconds s"
    [ $seconds -le 60 ]
}

remove_configuration() { inside rm -rf /etc/statsd.conf /var/lib/statsd; }

begin "the Debian package"
follow /root "$(commands install.md "Debian and Ubuntu" 1)"
first_counter

begin "moving over from Node, with the package"
cat >"$home/exampleConfig.js" <<'END'
{
  graphitePort: 2003
, graphiteHost: "127.0.0.1"
, port: 8125
, flushInterval: 20000
, backends: [ "./backends/graphite" ]
}
END
echo "shop.orders:1|c" >"$home/lines"
steps=$(awk '/^1\. / { is_on = 1 } /^## / { exit } is_on' "$source/docs/migrating.md")
follow /root "$(grep -o '`statsd --[^`]*`' <<<"$steps" | tr -d '`')"
grep -q "^stats_counts.shop.orders 1 " "$folder/doors.log"
follow /root "$(awk '/^ *```/ { is_open = !is_open; next } is_open' <<<"$steps" |
    sed 's/sudo //; s/journalctl/& --no-pager/')"
first_counter
expect "flush_interval = 20s" inside sh -c 'statsd --ask config | grep "^flush_interval"'
inside dpkg --purge statsd >/dev/null 2>&1

begin "the tarball"
follow /root "$(commands install.md "A tarball" 1)"
first_counter

step "an upgrade from the tarball keeps the configuration"
inside sed -i 's/^address = .*/&\nqueue = 3m/' /etc/statsd.conf
follow /root/target "$(commands install.md "A tarball" 2)"
until_true count_arrives
expect "queue = 3m" inside sh -c 'statsd --ask config | grep "^queue"'

step "the drop-ins of the page"
inside mkdir -p /etc/systemd/system/statsd.{socket,service}.d
drop_in systemd 1 >"$folder/debian-root/etc/systemd/system/statsd.socket.d/own.conf"
drop_in systemd 2 >"$folder/debian-root/etc/systemd/system/statsd.service.d/own.conf"
inside sh -c 'printf "[admin]\nbind = localhost:812\n" >>/etc/statsd.conf'
inside systemctl daemon-reload
inside systemctl restart statsd.socket statsd.service
until_true count_arrives
expect "ListenDatagram=127.0.0.1:8125 (Datagram)" inside sh -c \
    'systemctl show statsd.socket -p Listen | sed s/^Listen=/ListenDatagram=/'
inside sh -c 'statsd --ask config | grep -q "^bind = localhost:812$\|^bind = 127.0.0.1:812$"'
inside rm -r /etc/systemd/system/statsd.socket.d /etc/systemd/system/statsd.service.d
inside systemctl disable --now statsd.socket statsd.service >/dev/null 2>&1
inside sh -c 'cd / && tar -tzf /root/target/statsd-*.tar.gz | xargs rm'
remove_configuration

begin "the source, with a binary that is built"
follow /root "$(commands install.md "From source" 1)"
first_counter
inside systemctl disable --now statsd.socket statsd.service >/dev/null 2>&1
inside make -s -C /root uninstall >/dev/null
expect "" inside find /usr/local -type f
remove_configuration

begin "the binary alone, without a configuration"
inside sh -c 'cd /root && target/release/statsd >/root/log 2>&1 & echo $! >/root/pid'
send_count() { inside sh -c 'cd /root && echo "foo:3|c" | nc -u -w1 127.0.0.1 8125'; }
count() { inside /root/target/release/statsd --ask counters | grep -o '"foo": [0-9]*' | grep -o '[0-9]*$'; }
first_counter
step "ok"
