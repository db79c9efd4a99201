//! The configuration file of a trial: its text, and how a reload changes it.

use std::fmt::Write as _;
use std::path::Path;

use statsd_bench::Random;

use crate::config::{self, Config};

/// The keys that trials vary.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    pub(super) flush_ms: u64,
    pub(super) aligned: bool,
    /// The name of the state file, if there is one.
    pub(super) state: Option<&'static str>,
    pub(super) state_secs: u64,
    pub(super) shutdown_ms: u64,
    pub(super) percentiles: &'static str,
    pub(super) rule: &'static str,
    pub(super) limits: Option<Limits>,
    /// Destinations that come and go.
    pub(super) has: Configured,
    /// Whether the repeater that comes and goes is reached by UDP. It then sends to the socket of
    /// ganglia, which has no reader.
    pub(super) repeats_by_udp: bool,
    pub(super) resend: &'static str,
    pub(super) keep: u64,
    pub(super) queue: &'static str,
    pub(super) write_secs: u64,
    pub(super) idle_secs: u64,
    pub(super) max_connections: usize,
    pub(super) max_line: &'static str,
    pub(super) listens: Listens,
    pub(super) receive_buffer: &'static str,
    pub(super) admin_connections: usize,
    pub(super) admin_idle_secs: u64,
    pub(super) flushes_keys: bool,
}

/// Small limits, which the traffic of the trial reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_series: usize,
    pub(super) series_memory: &'static str,
    pub(super) timer_exact: usize,
    pub(super) history_memory: &'static str,
    pub(super) max_key_length: usize,
}

/// The destinations that are configured, beside the references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configured {
    pub(super) carbon: bool,
    pub(super) extra: bool,
    pub(super) influxdb: bool,
    pub(super) repeater: bool,
    pub(super) ganglia: bool,
    pub(super) console: bool,
}

/// The sockets that are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listens {
    pub(super) stream: bool,
    /// The name of the unix socket for datagrams, or empty.
    pub(super) datagram: &'static str,
    pub(super) udp: bool,
    pub(super) tcp: bool,
    pub(super) admin: bool,
}

/// The part of the file that no reload changes.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) folder: std::path::PathBuf,
    /// The size of all spools, or empty.
    pub(super) spool: &'static str,
    /// The addresses of ganglia and of its reference, if there are any.
    pub(super) ganglia: Option<[String; 2]>,
    pub(super) log_level: &'static str,
}

impl Fixed {
    /// The log of frequent names.
    pub(super) fn keys(&self) -> std::path::PathBuf {
        self.folder.join("keys")
    }
}

impl Configured {
    pub(super) const ALL: Self = Self {
        carbon: true,
        extra: true,
        influxdb: true,
        repeater: true,
        ganglia: true,
        console: true,
    };
}

const STATES: [Option<&str>; 4] = [None, Some("state/a"), Some("state/a"), Some("state/b")];
/// Each sends the values of the same lines as other series.
const MAPPINGS: [&str; 5] = [
    "[rule.m]\nmatch = k.**.*\nname = m.all\n",
    "[rule.m]\nmatch = k.**.*\nname = m.$1\ntags = leaf=$2\nmax_tag_values = leaf=5\n",
    "[rule.m]\nmatch = k.**1\nname = m.one\n[rule.g]\nmatch = g.*\nname = g.one\n",
    "[rule.m]\nmatch = **\ndrop_tags = pod\nrename_tag = env=stage\n",
    "[rule.m]\nmatch = g.*\nname = g.n.$1\n[rule.k]\nmatch_regex = ^k\nkeep_tags = env\n",
];
const RULES: [&str; 4] = [
    "",
    "[rule.a]\nmatch = k.*\npercentiles = 50\n",
    "[rule.b]\nmatch = k.*1\nexpire = 1h\n",
    "[rule.a]\nmatch = g.*\nsigned_gauges = absolute\n",
];
const RESENDS: [&str; 5] = ["flush", "flush", "flush", "unacked", "none"];
const SERIES_MEMORIES: [&str; 4] = ["64k", "64k", "80k", "200k"];
const HISTORIES: [&str; 2] = ["4k", "60k"];
const QUEUES: [&str; 3] = ["64m", "64m", "1m"];

/// Returns the rules of a configuration, as the file has them. A stop begins with the same ones
/// again: others could make one gauge of two saved ones, and no record shows which one is older.
pub(super) fn rules_of(config: &Config) -> &'static str {
    let rules =
        |text: &str| config::parse(Path::new("statsd.conf"), text.as_bytes()).unwrap().rules.rules;
    let mut all = RULES.iter().chain(&MAPPINGS);
    all.find(|text| rules(text) == config.rules.rules).expect("a file has one of these")
}

impl Choices {
    pub(super) fn new(random: &mut Random) -> Self {
        let limits = random.one_in(3).then(|| Limits {
            max_series: *random.pick(&[10, 40, 150, 4000, 4000]),
            series_memory: SERIES_MEMORIES[random.below::<usize>(SERIES_MEMORIES.len())],
            timer_exact: *random.pick(&[10, 50_000]),
            history_memory: HISTORIES[random.below::<usize>(HISTORIES.len())],
            max_key_length: 600,
        });
        Self {
            flush_ms: *random.pick(&[1000, 1000, 1000, 2000]),
            aligned: random.below::<u64>(4) > 0,
            state: *random.pick(&STATES),
            state_secs: 1 + random.below::<u64>(4),
            shutdown_ms: 500 + random.below::<u64>(3000),
            percentiles: *random.pick(&["90", "50, 99"]),
            rule: if random.one_in(3) { *random.pick(&MAPPINGS) } else { "" },
            limits,
            has: Configured {
                carbon: true,
                extra: random.one_in(3),
                influxdb: random.one_in(2),
                repeater: random.one_in(3),
                ganglia: random.one_in(3),
                console: random.one_in(3),
            },
            repeats_by_udp: false,
            resend: *random.pick(&RESENDS),
            keep: 1 + random.below::<u64>(3),
            queue: *random.pick(&QUEUES),
            write_secs: 2 + random.below::<u64>(4),
            idle_secs: *random.pick(&[0, 1, 2, 5]),
            max_connections: *random.pick(&[2, 5, 20]),
            max_line: *random.pick(&["16k", "2k"]),
            listens: Listens { stream: true, datagram: "one", udp: true, tcp: true, admin: true },
            receive_buffer: *random.pick(&["4k", "8m", "8m"]),
            admin_connections: *random.pick(&[1, 2, 8]),
            admin_idle_secs: *random.pick(&[0, 1, 20]),
            flushes_keys: random.below::<u64>(4) == 0,
        }
    }

    /// Changes one to three keys.
    pub(super) fn change(&mut self, random: &mut Random) {
        for _ in 0..=random.below::<u64>(3) {
            match random.below::<u64>(25) {
                0 => self.flush_ms = *random.pick(&[1000, 2000, 3000]),
                1 => self.aligned ^= true,
                2 => self.state = *random.pick(&STATES),
                3 => self.state_secs = 1 + random.below::<u64>(4),
                4 => self.percentiles = *random.pick(&["90", "50, 99"]),
                5 => self.rule = *random.pick(&RULES),
                6 | 7 => self.has.carbon ^= true,
                8 => self.has.extra ^= true,
                9 => self.has.influxdb ^= true,
                10 => {
                    self.has.repeater ^= true;
                    // So it comes back with another protocol.
                    self.repeats_by_udp ^= !self.has.repeater;
                }
                11 => self.has.ganglia ^= true,
                24 => self.has.console ^= true,
                12 => {
                    self.resend = *random.pick(&RESENDS);
                    self.queue = *random.pick(&QUEUES);
                }
                13 => self.idle_secs = *random.pick(&[0, 1, 2, 5]),
                14 => self.listens.stream ^= true,
                15..18 => self.rule = *random.pick(&MAPPINGS),
                18 => self.listens.udp ^= true,
                19 => self.listens.tcp ^= true,
                20 => self.listens.admin ^= true,
                21 => self.max_connections = *random.pick(&[2, 5, 20]),
                22 => {
                    self.admin_connections = *random.pick(&[1, 2, 8]);
                    if let Some(limits) = &mut self.limits {
                        limits.max_series += 5;
                        limits.series_memory = *random.pick(&SERIES_MEMORIES);
                    }
                }
                _ => self.listens.datagram = *random.pick(&["one", "two", ""]),
            }
        }
    }

    /// Whether a reload to these settings changes which delivered flushes a destination retains.
    pub(super) fn retains_as(&self, other: &Self) -> bool {
        let retention = |choices: &Self| (choices.resend, choices.keep, choices.queue);
        retention(self) == retention(other)
    }

    pub(super) fn text(&self, fixed: &Fixed) -> String {
        let folder = fixed.folder.display();
        let mut text = format!(
            "[statsd]\nlog_level = {}\nflush_interval = {}ms\nalign_flush = {}\n\
             percentiles = {}\nstate_interval = {}s\nshutdown_timeout = {}ms\n",
            fixed.log_level,
            self.flush_ms,
            if self.aligned { "yes" } else { "no" },
            self.percentiles,
            self.state_secs,
            self.shutdown_ms
        );
        let mut add = |line: std::fmt::Arguments<'_>| text.write_fmt(line).unwrap();
        if let Some(state) = self.state {
            add(format_args!("state_file = {folder}/{state}\n"));
        }
        if let Some(limits) = &self.limits {
            add(format_args!("timer_exact = {}\n", limits.timer_exact));
            add(format_args!("timer_memory = 64k\npassthrough_memory = 64k\n[limits]\n"));
            add(format_args!("max_series = {}\n", limits.max_series));
            add(format_args!("series_memory = {}\n", limits.series_memory));
            add(format_args!("max_key_length = {}\n", limits.max_key_length));
        }
        let bind = |is_bound: bool| if is_bound { "127.0.0.1:0" } else { "" };
        add(format_args!("[udp]\nbind = {}\n", bind(self.listens.udp)));
        add(format_args!("recv_buffer = {}\n", self.receive_buffer));
        add(format_args!("[admin]\nbind = {}\n", bind(self.listens.admin)));
        add(format_args!("max_connections = {}\n", self.admin_connections));
        add(format_args!("idle_timeout = {}s\n", self.admin_idle_secs));
        if let Some(limits) = &self.limits {
            add(format_args!("history = 1m\nhistory_memory = {}\n", limits.history_memory));
        }
        add(format_args!("[tcp]\nbind = {}\n", bind(self.listens.tcp)));
        add(format_args!("max_connections = {}\n", self.max_connections));
        add(format_args!("max_line = {}\n", self.max_line));
        add(format_args!("idle_timeout = {}s\n[unix]\n", self.idle_secs));
        if self.listens.stream {
            add(format_args!("stream = {folder}/stream\n"));
        }
        if !self.listens.datagram.is_empty() {
            add(format_args!("datagram = {folder}/{}\n", self.listens.datagram));
        }
        if !fixed.spool.is_empty() {
            add(format_args!("[spool]\ndir = {folder}/spool\nmax_size = {}\n", fixed.spool));
        }
        self.add_destinations(fixed, &mut text);
        text
    }

    fn add_destinations(&self, fixed: &Fixed, text: &mut String) {
        let mut add = |line: std::fmt::Arguments<'_>| text.write_fmt(line).unwrap();
        let Configured { carbon, extra, influxdb, repeater, ganglia, console } = self.has;
        if !carbon {
            add(format_args!("[carbon]\naddress =\n"));
        }
        for (section, is_configured, address) in [
            ("carbon", carbon, "192.0.2.1:2003"),
            ("carbon.extra", extra, "192.0.2.3:2003"),
            ("influxdb", influxdb, "192.0.2.5:8086"),
        ] {
            if is_configured {
                add(format_args!("[{section}]\naddress = {address}\nresend = {}\n", self.resend));
                add(format_args!("resend_keep = {}\nqueue = {}\n", self.keep, self.queue));
                add(format_args!("write_timeout = {}s\n", self.write_secs));
                add(format_args!("connect_timeout = 1s\nreconnect_max = 2s\n"));
            }
        }
        add(format_args!("[carbon.reference]\naddress = 192.0.2.2:2003\nqueue = 1g\n"));
        add(format_args!("[influxdb.reference]\naddress = 192.0.2.6:8086\nqueue = 1g\n"));
        add(format_args!("[repeater]\naddress = 192.0.2.4:8125\nprotocol = tcp\n"));
        if repeater {
            let (address, protocol) = match &fixed.ganglia {
                Some([address, _]) if self.repeats_by_udp => (address.as_str(), "udp"),
                _ => ("192.0.2.7:8125", "tcp"),
            };
            add(format_args!("[repeater.extra]\naddress = {address}\nprotocol = {protocol}\n"));
        }
        if let Some([address, reference]) = &fixed.ganglia {
            add(format_args!("[ganglia.reference]\naddress = {reference}\n"));
            if ganglia {
                add(format_args!("[ganglia]\naddress = {address}\n"));
            }
        }
        if console {
            add(format_args!("[console]\nenabled = yes\n"));
        }
        if self.flushes_keys {
            add(format_args!(
                "[key_flush]\ninterval = 1s\nlog = {}/keys\n",
                fixed.folder.display()
            ));
        }
        add(format_args!("{}", self.rule));
    }
}
