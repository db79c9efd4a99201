//! The configuration file of a trial: what it says, and how a reload changes it.

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
    pub(super) has_carbon: bool,
    pub(super) has_extra: bool,
    pub(super) resend: &'static str,
    pub(super) keep: u64,
    pub(super) queue: &'static str,
    pub(super) write_secs: u64,
    pub(super) idle_secs: u64,
    pub(super) max_connections: usize,
    pub(super) has_stream: bool,
    pub(super) datagram: &'static str,
    pub(super) flushes_keys: bool,
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
const QUEUES: [&str; 3] = ["64m", "64m", "1m"];

/// Returns the rules of a configuration, as the file has them. A stop begins with the same ones
/// again: others could make one gauge of two saved ones, and no record tells which one is older.
pub(super) fn rules_of(config: &Config) -> &'static str {
    let rules =
        |text: &str| config::parse(Path::new("statsd.conf"), text.as_bytes()).unwrap().rules.rules;
    let mut all = RULES.iter().chain(&MAPPINGS);
    all.find(|text| rules(text) == config.rules.rules).expect("a file has one of these")
}

impl Choices {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            flush_ms: *random.pick(&[1000, 1000, 1000, 2000]),
            aligned: random.below::<u64>(4) > 0,
            state: *random.pick(&STATES),
            state_secs: 1 + random.below::<u64>(4),
            shutdown_ms: 500 + random.below::<u64>(3000),
            percentiles: *random.pick(&["90", "50, 99"]),
            rule: if random.one_in(3) { *random.pick(&MAPPINGS) } else { "" },
            has_carbon: true,
            has_extra: random.below::<u64>(3) == 0,
            resend: *random.pick(&RESENDS),
            keep: 1 + random.below::<u64>(3),
            queue: *random.pick(&QUEUES),
            write_secs: 2 + random.below::<u64>(4),
            idle_secs: *random.pick(&[0, 1, 2, 5]),
            max_connections: *random.pick(&[2, 5, 20]),
            has_stream: true,
            datagram: "one",
            flushes_keys: random.below::<u64>(4) == 0,
        }
    }

    /// Changes one to three keys.
    pub(super) fn change(&mut self, random: &mut Random) {
        for _ in 0..=random.below::<u64>(3) {
            match random.below::<u64>(17) {
                0 => self.flush_ms = *random.pick(&[1000, 2000, 3000]),
                1 => self.aligned ^= true,
                2 => self.state = *random.pick(&STATES),
                3 => self.state_secs = 1 + random.below::<u64>(4),
                4 => self.percentiles = *random.pick(&["90", "50, 99"]),
                5 => self.rule = *random.pick(&RULES),
                6 | 7 => self.has_carbon ^= true,
                8 | 9 => self.has_extra ^= true,
                10 => {
                    self.resend = *random.pick(&RESENDS);
                    self.queue = *random.pick(&QUEUES);
                }
                11 => self.idle_secs = *random.pick(&[0, 1, 2, 5]),
                12 => self.has_stream ^= true,
                13..16 => self.rule = *random.pick(&MAPPINGS),
                _ => self.datagram = *random.pick(&["one", "two", ""]),
            }
        }
    }

    /// Whether a reload to these settings changes which delivered flushes `carbon` retains.
    pub(super) fn retains_as(&self, other: &Self) -> bool {
        let retention = |choices: &Self| (choices.resend, choices.keep, choices.queue);
        retention(self) == retention(other)
    }

    /// Whether a reload to these settings closes no listener.
    pub(super) fn listens_as(&self, other: &Self) -> bool {
        (self.has_stream, self.datagram) == (other.has_stream, other.datagram)
    }

    pub(super) fn text(&self, folder: &Path, spool: &str) -> String {
        let folder = folder.display();
        let mut text = format!(
            "[statsd]\nlog_level = trace\nflush_interval = {}ms\nalign_flush = {}\n\
             percentiles = {}\nstate_interval = {}s\nshutdown_timeout = {}ms\n",
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
        add(format_args!("[udp]\nbind =\n[admin]\nbind =\n[tcp]\nbind =\n"));
        add(format_args!("max_connections = {}\n", self.max_connections));
        add(format_args!("idle_timeout = {}s\n[unix]\n", self.idle_secs));
        if self.has_stream {
            add(format_args!("stream = {folder}/stream\n"));
        }
        if !self.datagram.is_empty() {
            add(format_args!("datagram = {folder}/{}\n", self.datagram));
        }
        if !spool.is_empty() {
            add(format_args!("[spool]\ndir = {folder}/spool\nmax_size = {spool}\n"));
        }
        let address = if self.has_carbon { "192.0.2.1:2003" } else { "" };
        add(format_args!("[carbon]\naddress = {address}\n"));
        add(format_args!("resend = {}\nresend_keep = {}\n", self.resend, self.keep));
        add(format_args!("queue = {}\nwrite_timeout = {}s\n", self.queue, self.write_secs));
        add(format_args!("connect_timeout = 1s\nreconnect_max = 2s\n"));
        add(format_args!("[carbon.witness]\naddress = 192.0.2.2:2003\nqueue = 1g\n"));
        if self.has_extra {
            add(format_args!("[carbon.extra]\naddress = 192.0.2.3:2003\nconnect_timeout = 1s\n"));
        }
        add(format_args!("[repeater]\naddress = 192.0.2.4:8125\nprotocol = tcp\n"));
        if self.flushes_keys {
            add(format_args!("[key_flush]\ninterval = 1s\nlog = {folder}/keys\n"));
        }
        add(format_args!("{}", self.rule));
        text
    }
}
