//! The configuration that an empty file makes: the defaults of the table. Pure.

use std::time::Duration;

use super::address::OFF;
use super::keys::{KEYS, Key};
use super::sections::COPIED;
use super::{
    Admin, Carbon, Config, Console, Exec, Ganglia, Influxdb, KeyFlush, Layout, Protocol, Repeater,
    Resend, Spool, State, Tcp, Udp, Unix,
};

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::with_all_sections();
        COPIED.iter().for_each(|copied| (copied.retain_on)(&mut config));
        config
    }
}

impl Config {
    /// One of every section there is, those of destinations that are off too.
    pub(super) fn with_all_sections() -> Self {
        let mut config = blank();
        let unreadable = |key: &&Key| key.set(&mut config, 0, key.default).is_err();
        let broken = KEYS.iter().find(unreadable).map(|key| key.name);
        assert_eq!(broken, None, "a default of the table is no value of its key");
        config
    }
}

/// A configuration for the table's defaults to be written into.
fn blank() -> Config {
    let carbon = Carbon {
        name: "carbon".into(),
        address: OFF,
        protocol: Protocol::Plaintext,
        pickle_batch: 0,
        connect_timeout: Duration::ZERO,
        write_timeout: Duration::ZERO,
        reconnect_min: Duration::ZERO,
        reconnect_max: Duration::ZERO,
        queue: 0,
        resend: Resend::Flush,
        resend_keep: 0,
        namespace: String::new(),
    };
    Config {
        flush_interval: Duration::ZERO,
        align_flush: false,
        shutdown_timeout: Duration::ZERO,
        log_format: Default::default(),
        log_level: log::LevelFilter::Off,
        user: String::new(),
        group: String::new(),
        dump_messages: false,
        grammar: Default::default(),
        bounds: Default::default(),
        rules: Default::default(),
        namespaces: vec![Default::default()],
        udp: Udp { bind: Vec::new(), recv_buffer: 0, allow_from: Vec::new() },
        tcp: Tcp {
            bind: Vec::new(),
            max_connections: 0,
            idle_timeout: None,
            max_line: 0,
            allow_from: Vec::new(),
        },
        unix: Unix { stream: None, datagram: None, mode: 0 },
        admin: Admin {
            bind: Vec::new(),
            healthy: false,
            idle_timeout: None,
            max_connections: 0,
            allow_from: Vec::new(),
        },
        carbons: vec![carbon],
        influxdbs: vec![Influxdb::blank()],
        ganglias: vec![Ganglia::blank()],
        repeaters: vec![Repeater::blank()],
        console: Console { enabled: false, format: Layout::Text, namespace: String::new() },
        execs: vec![Exec {
            name: "exec".into(),
            command: String::new(),
            timeout: Duration::ZERO,
            namespace: String::new(),
        }],
        state: State { file: None, interval: None },
        spool: Spool { dir: None, max_size: 0 },
        key_flush: KeyFlush { interval: None, percent: 0, log: None },
    }
}
