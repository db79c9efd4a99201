//! The hints of log lines about a destination: what the operator can do, and what the server does
//! meanwhile. Each cause of a failure has its own hint, which names the section and the key to
//! check.

use std::cell::Cell;
use std::io::ErrorKind;

use super::error::SinkError;
use super::look_up::LookUpError;
use crate::config::{Carbon, Destination, DestinationKind, Protocol, Remote};

/// The facts of a destination that its hints depend on. The sink and its outlet share them.
#[derive(Debug)]
pub(super) struct Advice {
    /// The section, such as `carbon.second`.
    section: String,
    is_udp: bool,
    /// During an outage new lines are queued. Otherwise they are dropped.
    is_queued: bool,
    /// The section has the key `write_timeout`.
    has_timeout: bool,
    spool: Cell<SpoolChoice>,
    /// The hint for a peer that closes each connection right after the first bytes.
    wrong_protocol: String,
}

/// Whether `[spool] dir` would keep the chunks of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpoolChoice {
    Possible,
    /// Destinations of this kind never have a spool.
    NotOfThisKind,
    /// The process is `--stdin`, which has no spool.
    NotInThisProcess,
}

impl Advice {
    pub(super) fn new(to: &Destination) -> Self {
        let is_repeater = matches!(to.kind, DestinationKind::Repeater(_));
        let has_spool = to.spooled_format().is_some();
        Self {
            section: to.name.clone(),
            is_udp: to.is_udp(),
            is_queued: !(is_repeater && to.is_udp()),
            has_timeout: has_spool,
            spool: Cell::new(if has_spool {
                SpoolChoice::Possible
            } else {
                SpoolChoice::NotOfThisKind
            }),
            wrong_protocol: wrong_protocol_hint(to),
        }
    }

    /// Hints no longer recommend a spool: this process has none.
    pub(super) fn exclude_spool(&self) {
        if self.spool.get() == SpoolChoice::Possible {
            self.spool.set(SpoolChoice::NotInThisProcess);
        }
    }

    /// Returns the hint for a destination that closes each connection right after the first bytes.
    pub(super) fn wrong_protocol(&self) -> &str {
        &self.wrong_protocol
    }

    /// Returns the hint for a failure after which the server retries.
    pub(super) fn on_failure(&self, error: &SinkError, to: &Remote) -> String {
        self.with_retry(&self.remedy(error, &to.host))
    }

    /// Returns the hint for a connection that the peer closed right after the first bytes.
    pub(super) fn on_early_close(&self) -> String {
        let wrong = &self.wrong_protocol;
        self.with_retry(&format!(
            "the peer closed the connection right after the first bytes; if that repeats: {wrong}"
        ))
    }

    /// Adds what the server does until it has recovered.
    fn with_retry(&self, remedy: &str) -> String {
        let meanwhile = match (self.is_queued, self.is_udp) {
            (true, false) => "the server retries and keeps queued data",
            (true, true) => {
                "the server retries and keeps queued data; packets sent before may be lost"
            }
            (false, _) => "the server retries; until then it drops the lines for this destination",
        };
        format!("{remedy}; {meanwhile}")
    }

    /// Returns what the operator can do about a failure.
    fn remedy(&self, error: &SinkError, host: &str) -> String {
        let section = &self.section;
        match error {
            SinkError::Io(error) => self.io_remedy(error.kind()),
            SinkError::LookUp(error) => self.look_up_remedy(error, host),
            SinkError::ClosedByPeer => self.io_remedy(ErrorKind::ConnectionReset),
            SinkError::ConnectedToItself => self.io_remedy(ErrorKind::ConnectionRefused),
            SinkError::ConnectTimedOut => self.io_remedy(ErrorKind::TimedOut),
            SinkError::TimedOut(_) if self.has_timeout => format!(
                "the peer is too slow or unreachable; check its load and the network, or raise [{section}] write_timeout"
            ),
            SinkError::TimedOut(_) => format!(
                "the peer is too slow or unreachable; check its load, the network, and [{section}] address"
            ),
            SinkError::Http { status, .. } => self.http_remedy(*status),
            SinkError::NotHttp(_) | SinkError::UnaskedAnswer => format!(
                "the process at that port does not speak HTTP as InfluxDB does; check [{section}] address and protocol"
            ),
        }
    }

    fn io_remedy(&self, kind: ErrorKind) -> String {
        let section = &self.section;
        match kind {
            ErrorKind::ConnectionRefused if self.is_udp => {
                format!("no process receives at that port; start it, or check [{section}] address")
            }
            ErrorKind::ConnectionRefused => {
                format!("no process listens at that port; start it, or check [{section}] address")
            }
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                format!(
                    "the peer or a proxy closed the connection; if that repeats, check the log at [{section}] address"
                )
            }
            ErrorKind::TimedOut => format!(
                "the host is down, or a firewall drops packets; check both, and [{section}] address"
            ),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                format!("there is no route to the host; check the network and [{section}] address")
            }
            ErrorKind::PermissionDenied => format!(
                "the kernel forbids this; check the firewall of this host and [{section}] address"
            ),
            _ => format!("check [{section}] address, the network and the limits of this host"),
        }
    }

    fn look_up_remedy(&self, error: &LookUpError, host: &str) -> String {
        let section = &self.section;
        match error {
            LookUpError::Reported(_) => format!(
                "the name {host} was looked up; check [{section}] address, /etc/hosts and the name server"
            ),
            LookUpError::TimedOut | LookUpError::StillRunning => format!(
                "the look-up of the name {host} takes too long; check the name server, or set [{section}] address to a number"
            ),
            _ => format!(
                "the look-up of the name {host} failed; check the limits of this host, or set [{section}] address to a number"
            ),
        }
    }

    fn http_remedy(&self, status: u16) -> String {
        let section = &self.section;
        match status {
            300..=399 => format!("the server redirects requests; check [{section}] address"),
            401 | 403 => {
                format!(
                    "InfluxDB refuses the account; check [{section}] version, and username and password, or token"
                )
            }
            404 => format!(
                "InfluxDB does not know the database or bucket; create it, or check [{section}] version, database or bucket, and address"
            ),
            // InfluxDB 1 answers 503 while it starts or is overloaded. A gateway answers 502 and
            // 504 for an InfluxDB that is down or slow.
            429 | 503 => format!(
                "InfluxDB, or a proxy before it, is overloaded or starting; check its load and its log; if it is another process, check [{section}] address"
            ),
            502 | 504 => format!(
                "a proxy cannot reach InfluxDB, or waits too long for it; check InfluxDB, or set [{section}] address to InfluxDB itself"
            ),
            500.. => format!(
                "InfluxDB has failed to store the points; check its log and its disk, and [{section}] database"
            ),
            _ => format!("the request is not accepted; check [{section}] address and database"),
        }
    }

    /// Returns the hint for a peer that is alive and accepts no bytes.
    pub(super) fn on_stall(&self) -> String {
        let section = &self.section;
        format!(
            "the process at [{section}] address is stopped, stuck or overloaded; check or restart it: a larger queue only delays the loss"
        )
    }

    /// Returns the hint for a queue that is full.
    pub(super) fn on_full_queue(&self) -> String {
        let section = &self.section;
        match self.spool.get() {
            SpoolChoice::Possible => format!(
                "check the destination; set [spool] dir to keep on disk what does not fit, or raise [{section}] queue"
            ),
            SpoolChoice::NotOfThisKind => format!(
                "check [{section}]; the queue of this kind of destination has a fixed size and no spool"
            ),
            SpoolChoice::NotInThisProcess => {
                format!("check the destination, or raise [{section}] queue; --stdin has no spool")
            }
        }
    }

    /// Returns the hint for a spool that cannot hold what the queue has no room for.
    pub(super) fn on_full_spool(&self) -> String {
        "the spool is full, or its disk fails; check the destination, raise [spool] max_size, or free the disk of [spool] dir".into()
    }

    /// Returns the hint for a queue without room for all flushes that are to be retained.
    pub(super) fn on_short_queue(&self) -> String {
        let section = &self.section;
        format!("raise [{section}] queue, or lower [{section}] resend_keep")
    }

    /// Returns the hint for lines in flight at the end, which are not kept to be sent again.
    pub(super) fn on_unconfirmed(&self) -> String {
        let section = &self.section;
        format!(
            "to keep such lines, set [{section}] resend = unacked; or raise [statsd] shutdown_timeout"
        )
    }

    /// Returns the hint for lines that were lost when the time to deliver them was over.
    pub(super) fn on_abandoned(&self) -> String {
        let section = &self.section;
        let other = format!("check [{section}], or raise [statsd] shutdown_timeout");
        match self.spool.get() {
            SpoolChoice::Possible => {
                format!("set [spool] dir to keep such lines for the next start; or {other}")
            }
            SpoolChoice::NotOfThisKind => {
                format!("{other}; this kind of destination has no spool")
            }
            SpoolChoice::NotInThisProcess => format!("{other}; --stdin has no spool"),
        }
    }
}

/// Returns the hint for a destination that closes each connection right after the first bytes: what
/// to check in the configuration. The peer probably expects another protocol.
fn wrong_protocol_hint(to: &Destination) -> String {
    let name = &to.name;
    match &to.kind {
        DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => format!(
            "[{name}] protocol = plaintext is for carbon's port 2003; a port for pickle, such as 2004, takes protocol = pickle"
        ),
        DestinationKind::Carbon(_) => format!(
            "[{name}] protocol = pickle is for carbon's port 2004; a port for lines, such as 2003, takes protocol = plaintext"
        ),
        _ => {
            format!("check [{name}] address; the process at that port may expect another protocol")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::path::Path;

    use super::*;

    /// Returns the advice for the first destination that a configuration turns on.
    fn advice(text: &str) -> Advice {
        let config = crate::config::parse(Path::new("t.conf"), text.as_bytes()).unwrap();
        let section = text[1..].split(']').next().unwrap();
        let mut all = config.active_destinations();
        Advice::new(all.find(|destination| destination.name == section).unwrap())
    }

    fn host() -> Remote {
        Remote { host: "graphit.example.org".into(), port: 2003 }
    }

    #[test]
    fn each_cause_has_its_own_hint_which_names_the_section() {
        let advice = advice("[carbon.second]\naddress = graphit.example.org:2003\n");
        let errors = [
            SinkError::Io(ErrorKind::ConnectionRefused.into()),
            SinkError::Io(ErrorKind::HostUnreachable.into()),
            SinkError::Io(ErrorKind::PermissionDenied.into()),
            SinkError::Io(io::Error::from_raw_os_error(libc::EMFILE)),
            SinkError::LookUp(LookUpError::Reported("Name or service not known".into())),
            SinkError::LookUp(LookUpError::TimedOut),
            SinkError::LookUp(LookUpError::Empty),
            SinkError::ClosedByPeer,
            SinkError::ConnectTimedOut,
            SinkError::TimedOut("no acknowledgement"),
            SinkError::NotHttp(String::new()),
            SinkError::Http { status: 401, text: String::new() },
            SinkError::Http { status: 404, text: String::new() },
            SinkError::Http { status: 503, text: String::new() },
            SinkError::Http { status: 502, text: String::new() },
            SinkError::Http { status: 500, text: String::new() },
            SinkError::Http { status: 302, text: String::new() },
        ];
        let mut hints: BTreeSet<_> =
            errors.iter().map(|error| advice.on_failure(error, &host())).collect();
        hints.insert(advice.on_early_close());
        assert_eq!(hints.len(), errors.len() + 1, "{hints:#?}");
        let is_complete = |hint: &String| {
            hint.contains("[carbon.second] ") && hint.ends_with("retries and keeps queued data")
        };
        assert!(hints.iter().all(is_complete), "{hints:#?}");
        let looked_up = hints.iter().filter(|hint| hint.contains("the name graphit.example.org"));
        assert_eq!(looked_up.count(), 3, "{hints:#?}");
    }

    #[test]
    fn hints_promise_only_what_the_destination_has() {
        let refused = SinkError::Io(ErrorKind::ConnectionRefused.into());
        let repeater = "[repeater]\naddress = graphit.example.org:8125\n";
        let over_tcp = format!("{repeater}protocol = tcp\n");
        let ganglia = "[ganglia]\naddress = graphit.example.org:8649\n";
        assert!(advice(repeater).on_failure(&refused, &host()).contains("it drops the lines"));
        for kept in [&over_tcp, ganglia] {
            assert!(advice(kept).on_failure(&refused, &host()).contains("keeps queued data"));
        }
        assert!(advice(ganglia).on_failure(&refused, &host()).contains("may be lost"));
        let kinds = [repeater, ganglia, "[console]\nenabled = yes\n", "[exec]\ncommand = cat\n"];
        for without in kinds.map(advice) {
            for hint in [without.on_full_queue(), without.on_abandoned()] {
                assert!(!hint.contains("[spool]") && hint.contains("spool"), "{hint}");
            }
        }
        let carbon = advice("[carbon]\naddress = graphit.example.org:2003\n");
        assert!(carbon.on_full_queue().contains("[spool] dir"));
        assert!(carbon.on_abandoned().contains("[spool] dir"));
        carbon.exclude_spool();
        assert!(carbon.on_full_queue().ends_with("--stdin has no spool"));
        assert!(carbon.on_abandoned().ends_with("--stdin has no spool"));
    }
}
