#!/usr/bin/env bash
# Runs the systemd units with the oldest and the newest systemd that the docs name: 247 of Debian 11
# and 257 of Debian 13, in scratch roots. It checks that systemd accepts the units in silence, then
# first counter, reload, restart with state, sandbox and stop. It needs root, debootstrap and a
# registry of Debian packages; otherwise it prints SKIPPED and why.
#
# usage: units.sh BINARY FOLDER      a static binary; FOLDER keeps the scratch roots for the next run
set -euo pipefail
name=units
. "$(dirname "$0")/system.sh"

binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
source=$(realpath "$(dirname "$0")/../..")

need_debootstrap
for suite in bullseye trixie; do
    name="units, $suite"
    root=$folder/$suite-root
    make_root "$suite" "$root"
    rm -rf "$root/etc/statsd.conf" "$root/var/lib/statsd" "$root/root/source"
    mkdir "$root/root/source"
    cp -r "$source/"{Makefile,Cargo.toml,packaging,statsd.conf.example} "$binary" "$root/root/source"
    boot "$root"
    step "$(inside systemctl --version | head -1)"
    installed() { inside make -s -C /root/source "$1" binary=statsd; }
    installed install >/dev/null
    inside systemctl daemon-reload

    step "systemd accepts the units in silence"
    units=/usr/local/lib/systemd/system
    # The root has no `man`. systemd also writes about the cgroups of this root.
    expect "" inside sh -c \
        "systemd-analyze verify --man=no $units/statsd.service $units/statsd.socket 2>&1 | grep statsd"

    step "start, and count"
    inside systemctl enable --now statsd.socket statsd.service 2>/dev/null
    until_true count_arrives
    expect active inside systemctl is-active statsd.service

    check_buffer

    step "reload"
    check_reload

    step "a restart keeps the open interval and the sockets"
    survives inside systemctl restart statsd
    expect "NRestarts=0" inside systemctl show statsd -p NRestarts

    # As docs/install.md shows it: a request to InfluxDB has the token.
    step "a token as a credential"
    inside sh -c 'echo s3cret >/etc/statsd.token && chmod 600 /etc/statsd.token'
    drop_in=/etc/systemd/system/statsd.service.d
    inside mkdir -p $drop_in
    inside sh -c "printf '[Service]\nLoadCredential=influxdb:/etc/statsd.token\n' >$drop_in/token.conf"
    inside sed -i '/^flush_interval/d' /etc/statsd.conf
    inside sh -c "cat >>/etc/statsd.conf" <<-'END'
	[influxdb]
	address = 127.0.0.1:8086
	version = 2
	bucket = statsd
	token_file = /run/credentials/statsd.service/influxdb
	END
    inside sh -c 'nc -l 127.0.0.1 8086 >/root/request & echo $! >/root/nc.pid'
    inside systemctl daemon-reload
    inside systemctl restart statsd
    until_true inside grep -q "^Authorization: Token s3cret" /root/request

    step "the sandbox"
    check_sandbox

    step "stop"
    inside systemctl stop statsd.socket statsd.service
    expect "Result=success" inside systemctl show statsd -p Result

    step "uninstall"
    inside systemctl disable statsd.socket statsd.service 2>/dev/null
    installed uninstall >/dev/null
    expect "" inside find /usr/local -type f
    inside test -e /etc/statsd.conf -a -e /var/lib/statsd/state
    halt
done
echo "units: ok"
