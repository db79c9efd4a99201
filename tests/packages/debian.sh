#!/usr/bin/env bash
# Installs the Debian package in a scratch root, with a real systemd as process 1: first counter,
# reload, refused reload, restart with state, upgrade, removal, purge. It needs root, debootstrap
# and a registry of Debian packages; otherwise it prints SKIPPED and why.
#
# usage: debian.sh PACKAGE.deb FOLDER        FOLDER keeps the scratch root for the next run
set -euo pipefail

name=debian
. "$(dirname "$0")/system.sh"

package=$(realpath "$1")
mkdir -p "$2"
root=$(realpath "$2")/debian-root

need_debootstrap
make_root bookworm "$root"
cp "$package" "$root/root/statsd.deb"

if has lintian lintian; then
    errors=$(lintian "$package" 2>/dev/null | grep '^E:' || true)
    [ -z "$errors" ] || { echo "$errors"; exit 1; }
else
    echo "SKIPPED: lintian, which is not installed: apt-get install lintian"
fi

boot "$root"
inside dpkg --purge statsd >/dev/null 2>&1 || true
# A run that has failed may have left files of a user that is gone.
inside rm -rf /etc/statsd.conf /var/lib/statsd

step "install, and count"
began=$(date +%s)
inside dpkg -i /root/statsd.deb >/dev/null
until_true count_arrives
step "a first counter after $(($(date +%s) - began)) s"
expect active inside systemctl is-active statsd.service

check_buffer

step "reload"
check_reload

step "a refused reload changes nothing"
inside sh -c 'echo "bnid = 1" >> /etc/statsd.conf'
inside systemctl reload statsd
expect active inside systemctl is-active statsd.service
inside sed -i '/^bnid/d' /etc/statsd.conf

step "restart and upgrade keep the open interval, the configuration and the sockets"
survives inside systemctl restart statsd
survives inside dpkg -i /root/statsd.deb
inside grep -q '^queue = 2m' /etc/statsd.conf
expect "NRestarts=0" inside systemctl show statsd -p NRestarts

step "the sandbox"
check_sandbox

step "removal keeps the state, purge does not"
inside dpkg -r statsd >/dev/null 2>&1
expect inactive inside systemctl is-active statsd.socket
inside test -e /etc/statsd.conf -a -e /var/lib/statsd/state
inside dpkg -P statsd >/dev/null 2>&1
inside test ! -e /etc/statsd.conf -a ! -e /var/lib/statsd
step "ok"
