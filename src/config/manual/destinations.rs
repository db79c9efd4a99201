//! Texts of the manual about destinations: `[carbon]`, `[console]`, `[influxdb]`, `[exec]`,
//! `[ganglia]` and `[repeater]`. Pure.

use super::chapter::{Chapter, chapter};

pub(super) const CARBON: Chapter = chapter! {
    /// [carbon]: Graphite's carbon, over one TCP connection that stays open.
    ///
    /// While carbon is down, up to `queue` bytes wait in memory, and more in [spool] if it is set.
    /// Points may be sent twice, because a point that comes twice overwrites itself.
    ///
    /// A further destination is [carbon.NAME]. It has these keys with these defaults, whatever
    /// [carbon] is set to. It needs an address of its own. There may be 16 further destinations of
    /// all kinds together.
    [carbon],
    "#[carbon.second]\n#address = graphite2.example.org:2003\n#namespace = new\n";

    /// Where carbon listens. The default port is 2003, or 2004 for pickle. Empty means off.
    /// Example: graphite.example.org
    address;

    /// plaintext, or pickle. It must fit the port: carbon closes a connection that speaks the other
    /// protocol.
    protocol;

    /// Which names this destination gets: the NAME of a [namespace.NAME]. Empty means [namespace].
    namespace;

    /// Memory for data that waits, and for delivered data that may be sent again. At least 1m.
    /// Empty means at most 64m, derived from [limits] max_memory. It should hold five flushes or
    /// more; the admin command stats shows the bytes of a flush as graphite.flush_length. When it
    /// is full, the oldest data goes to the spool. If there is no spool, it is dropped and counted
    /// in dropped_lines.
    queue;

    /// What to send again after a broken connection.
    ///   flush     what was not acknowledged, and the last resend_keep delivered flushes: carbon may
    ///             have died before it read them
    ///   unacked   only what was not acknowledged
    ///   none      nothing; use it in front of carbon-aggregator, which adds a point that comes twice
    resend;

    /// How many delivered flushes are kept for resend = flush. 1 to 100.
    resend_keep;

    /// Set this to no to leave out the server's own figures. A service that bills by the number of
    /// metrics needs that.
    own_figures;

    /// How long to wait after the first failed attempt to connect, and at most. The wait doubles
    /// each time, with jitter. reconnect_max must be at least reconnect_min. At least 1ms.
    reconnect_min, reconnect_max;

    /// Give up an attempt to connect after this long. At least 100ms.
    connect_timeout;

    /// A connection with unacknowledged bytes counts as broken if the peer has shown no sign of
    /// life for this long. At least 2s, because the kernel probes a peer at most twice a second.
    write_timeout;

    /// Points in one pickle message. 1 to 10000. No message exceeds carbon's limit of 1 MiB.
    pickle_batch;
};

pub(super) const CONSOLE: Chapter = chapter! {
    /// [console]: each flush on standard output. Use it to see what would be sent.
    [console];

    /// Set this to yes to print each flush. A slow reader never blocks the server.
    enabled;

    /// text: name value timestamp. json: one object a line.
    format;

    /// As for [carbon].
    namespace, own_figures;
};

pub(super) const INFLUXDB: Chapter = chapter! {
    /// [influxdb]: InfluxDB, or a database that takes its line protocol, such as VictoriaMetrics
    /// or QuestDB. More of them are [influxdb.NAME].
    ///
    /// Tags become tags. The figures of a timer are the fields of one point.
    [influxdb];

    /// Where InfluxDB listens. The default port is 8086 for http, and 8089 for udp. Empty means
    /// off.
    address;

    /// http: each chunk of points is one request, and InfluxDB confirms it. udp: data that the
    /// kernel has taken counts as delivered. Version, database, account, bucket, token, resend and
    /// the timeouts are for http.
    protocol;

    /// With version = 1, the database. It must exist: CREATE DATABASE statsd. For udp, InfluxDB's
    /// own configuration names the database.
    database;

    /// With version = 1, the account: each at most 128 printable ASCII characters. The username has
    /// no colon. An empty username means that requests carry no account. `--print-config` shows the
    /// password, so keep this file private. The admin command config masks it.
    username, password;

    /// A file with the password, such as one of systemd's LoadCredential=. It replaces password,
    /// and a reload reads it again.
    /// Example: /run/credentials/statsd.service/influxdb
    password_file;

    /// 1: InfluxDB 1.x, with database and account. 2: InfluxDB 2 and 3, with org, bucket and token.
    version;

    /// With version = 2: the organisation (empty if there is none, as in version 3), the bucket, and
    /// a token that may write to it. `--print-config` shows the token.
    org, bucket, token;

    /// A file with the token, as password_file.
    token_file;

    /// As for [carbon].
    namespace;

    /// As for [carbon].
    queue;

    /// As for [carbon]. The default differs, because what InfluxDB has confirmed is on its disk.
    resend;

    /// As for [carbon].
    resend_keep;

    /// As for [carbon].
    own_figures;

    /// As for [carbon]. The server also waits after an answer that is an error.
    reconnect_min, reconnect_max;

    /// As for [carbon].
    connect_timeout;

    /// How long a request may take to be written, and how long its whole answer may take after
    /// that. If it takes longer, the request is sent again. At least 2s.
    write_timeout;
};

pub(super) const EXEC: Chapter = chapter! {
    /// [exec]: a command that reads each flush on standard input, as statsite's stream_cmd. Further
    /// ones are [exec.NAME].
    [exec];

    /// /bin/sh runs this line for each flush, one at a time. The command reads lines of
    /// name|value|timestamp. With style = statsite their numbers have six decimals, and counts have
    /// none, as in statsite. A flush without points starts no command. An exit status other than 0
    /// is logged, and the lines count in in_doubt. The whole rest of the line is the command, also #
    /// and quotes. Empty means off.
    /// Example: python3 /usr/local/lib/statsite/sinks/librato.py librato.ini
    command;

    /// A command that takes longer is killed, with everything that it has started. At least 100ms.
    timeout;

    /// Give the command statsite's binary records in place of lines.
    ///   no         lines
    ///   yes        records with the bare names of series, as statsite's binary_stream
    ///   prefixed   records with the prefixes of the namespace, as its prefix_binary_stream
    binary_stream;

    /// As for [carbon]. statsite's own sinks expect the names of style = statsite.
    namespace;

    /// As for [carbon].
    own_figures;
};

pub(super) const GANGLIA: Chapter = chapter! {
    /// [ganglia]: metrics for a gmond, over UDP. More of them are [ganglia.NAME].
    ///
    /// A metric has the name of its series, without the prefixes and suffixes of [namespace].
    [ganglia];

    /// Where gmond listens. The default port is 8649. Empty means off.
    address;

    /// The host that gmond shows for the metrics, as address:name. At most 128 characters.
    spoof;

    /// Stands before each name, with a dot between. At most 128 of A-Z, a-z, 0-9, _, - and dots.
    /// Two servers that send to one gmond need different values of prefix or of spoof.
    prefix;

    /// The most bytes of a name, 1 to 300. A metric with a longer name is left out and counted in
    /// points_refused.
    max_name_length;

    /// As for [carbon].
    own_figures;
};

pub(super) const REPEATER: Chapter = chapter! {
    /// [repeater]: another StatsD server that gets every packet as it came. More of them are
    /// [repeater.NAME].
    ///
    /// Use it to run two servers side by side, for example while you change from one to the other.
    /// Two servers that repeat to each other never stop sending.
    [repeater];

    /// Where the other server listens. The default port is 8125. Empty means off.
    address;

    /// udp, or tcp. Over udp, packets are dropped and counted while no process listens there. Over
    /// tcp, up to 16 MiB wait for a connection. A line that no datagram can hold is left out over
    /// udp, and counted in points_refused.
    protocol;
};
