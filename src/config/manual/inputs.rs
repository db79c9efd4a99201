//! Texts of the manual about where the server listens: `[udp]`, `[tcp]`, `[unix]` and `[admin]`.
//! Pure.

use super::chapter::{Chapter, chapter};

pub(super) const UDP: Chapter = chapter! {
    /// [udp]: datagrams. Most clients send here.
    [udp];

    /// A list of at most 64 numeric addresses with ports. *:8125 is every address, IPv6 and IPv4.
    /// localhost:8125 is both loopback addresses. Other names are not allowed. Sockets passed in by
    /// systemd replace the list. Empty means off.
    /// Example: 10.0.0.1:8125, [fd00::1]:8125
    bind;

    /// The networks that may send, at most 500. Empty means anyone. Datagrams from other networks
    /// are dropped and counted in packets_refused.
    /// Example: 10.0.0.0/8, fd00::/8, 192.0.2.7
    allow_from;

    /// The kernel's receive buffer of each socket, 4k to 1g. It must hold what arrives while the
    /// server is busy. Raise it if the own counter udp_drops grows. If the kernel grants less, a
    /// warning names the sysctl to raise.
    recv_buffer;
};

pub(super) const TCP: Chapter = chapter! {
    /// [tcp]: streams of lines.
    [tcp];

    /// As for [udp].
    bind;

    /// As for [udp]. Connections from others are closed before anything is read, and counted in
    /// connections_refused.
    allow_from;

    /// Connections at the same time, of TCP and the unix stream socket together. 1 to 60000.
    /// More connections are closed and counted in connections_refused. If the limit of open files
    /// (ulimit -n) is too low for this number, the server accepts fewer and logs how many.
    max_connections;

    /// Close a connection that sent nothing for this long, log it, and count it in
    /// idle_connections_closed. 0 means never. Many clients do not reconnect, so set it only if
    /// yours do. TCP keepalive finds dead clients within about four minutes in any case.
    idle_timeout;

    /// The longest line without its newline, 64 bytes to 1m. A longer one is skipped and counts as
    /// a bad line. Raise it for clients that send many values in one line.
    max_line;
};

pub(super) const UNIX: Chapter = chapter! {
    /// [unix]: sockets for clients on this machine. The stream socket shares the limits of [tcp].
    /// The datagram socket has the recv_buffer of [udp].
    [unix];

    /// The path of each socket. The server makes the file. A file that a killed server left is
    /// replaced. Empty means off. Datadog's clients can use both: unix:// for datagram,
    /// unixstream:// for stream.
    /// Example: /run/statsd/statsd.sock
    datagram, stream;

    /// The permissions of both files, in octal: 0000 to 0777. A client needs the permission to
    /// write.
    mode;
};

pub(super) const ADMIN: Chapter = chapter! {
    /// [admin]: a TCP port for commands. Try: echo help | nc -N 127.0.0.1 8126
    [admin];

    /// As for [udp]. Commands can delete series, so keep the port on loopback or set allow_from.
    bind;

    /// As for [udp], for clients that send commands.
    allow_from;

    /// What the command health answers from the start: up or down. A proxy in front of several
    /// servers sends no traffic to a server that is down. `health up` and `health down` change it
    /// while the server runs.
    health;

    /// Close a client that sends no command for this long. 0 means never.
    idle_timeout;

    /// Clients at the same time. 1 to 1024. When all are in use, a new client replaces the one that
    /// was idle longest.
    max_connections;
};
