//! Reads /proc for figures of a process and of its sockets. The parsers are pure.

use std::fs;

/// Of a process and its descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system, of all threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
    /// Times it went to sleep: what it wakes up from.
    pub(crate) sleeps: u64,
}

/// A UDP socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Bytes that wait, as the kernel charges them.
    pub(crate) waiting: u64,
    /// Datagrams dropped since it was bound.
    pub(crate) drops: u64,
}

/// How much of a process has run, which changes as soon as one of its threads gets a processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The CPU time. While a thread runs, the kernel updates it only at its next tick.
    pub(crate) nanos: u64,
    /// The number of times that a thread got a processor. The kernel updates it at once.
    pub(crate) turns: u64,
}

/// Of all threads of this process, without its children.
pub(crate) fn ran(pid: u32) -> Ran {
    let mut all = Ran::default();
    for task in tasks(pid) {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat"));
        let more = scheduled(&text.unwrap_or_default()).unwrap_or_default();
        all.nanos += more.nanos;
        all.turns += more.turns;
    }
    all
}

/// Of `NANOSECONDS WAITED TURNS`.
fn scheduled(schedstat: &str) -> Option<Ran> {
    let mut words = schedstat.split_whitespace().map(str::parse::<u64>);
    Some(Ran { nanos: words.next()?.ok()?, turns: words.nth(1)?.ok()? })
}

/// Resident memory of one process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS")
        .unwrap_or(0)
}

pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Of the machine.
pub(crate) fn available_kib() -> u64 {
    field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable").unwrap_or(0)
}

pub(crate) fn usage(pid: u32) -> Usage {
    let mut all = one(pid);
    for child in children(pid) {
        let more = usage(child);
        all.cpu_seconds += more.cpu_seconds;
        all.resident_kib += more.resident_kib;
        all.peak_kib += more.peak_kib;
        all.sleeps += more.sleeps;
    }
    all
}

fn one(pid: u32) -> Usage {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = read("status");
    let field = |name| field(&status, name).unwrap_or(0);
    let threads = tasks(pid);
    let mut sleeps = 0;
    for task in &threads {
        let text =
            fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).unwrap_or_default();
        sleeps += self::field(&text, "voluntary_ctxt_switches").unwrap_or(0);
    }
    let cpu_seconds = statsd_bench::cpu_time(pid).unwrap_or_default().as_secs_f64();
    Usage { cpu_seconds, resident_kib: field("VmRSS"), peak_kib: field("VmHWM"), sleeps }
}

fn tasks(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let of_task = |task: &u32| {
        fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default()
    };
    let text: String = tasks(pid).iter().map(of_task).collect();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The UDP socket bound to this port; none if there is none.
pub(crate) fn queue(port: u16) -> Option<Queue> {
    ["/proc/net/udp", "/proc/net/udp6"]
        .into_iter()
        .find_map(|table| bound(&fs::read_to_string(table).unwrap_or_default(), port))
}

/// Returns the bytes queued on TCP connections to this local port: not read by the server yet, or
/// not accepted by its kernel yet.
pub(crate) fn waiting_streams(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    waiting(&table, port)
}

/// Whether a process listens on this TCP port.
pub(crate) fn listens(port: u16) -> bool {
    let is_it = |table: &str| listener(&fs::read_to_string(table).unwrap_or_default(), port);
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().any(is_it)
}

pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{name}, {} cores", text.matches("processor\t").count())
}

pub(crate) fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

/// A number of `NAME:  123 kB`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The row of /proc/net/udp with this local port. Several sockets may share it.
fn bound(table: &str, port: u16) -> Option<Queue> {
    let mut found = None;
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let local = fields.get(1).and_then(|address| address.rsplit_once(':'));
        if !local.is_some_and(|(_, local)| u16::from_str_radix(local, 16) == Ok(port)) {
            continue;
        }
        let waiting = fields.get(4).and_then(|queues| queues.split_once(':'));
        let waiting = waiting.and_then(|(_, rx)| u64::from_str_radix(rx, 16).ok()).unwrap_or(0);
        let drops = fields.last().and_then(|drops| drops.parse().ok()).unwrap_or(0);
        let sum = found.get_or_insert_with(Queue::default);
        sum.waiting += waiting;
        sum.drops += drops;
    }
    found
}

fn is_port(address: &str, port: u16) -> bool {
    address.rsplit_once(':').is_some_and(|(_, at)| u16::from_str_radix(at, 16) == Ok(port))
}

fn listener(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|row| {
        let mut fields = row.split_whitespace().skip(1);
        fields.next().is_some_and(|local| is_port(local, port)) && fields.nth(1) == Some(LISTENS)
    })
}

/// Of /proc/net/tcp: what is to be read at this port, and what is to be sent to it.
fn waiting(table: &str, port: u16) -> u64 {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    let of_row = |row: &str| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let &[_, local, remote, state, queues, ..] = fields.as_slice() else { return 0 };
        let Some((to_send, to_read)) = queues.split_once(':') else { return 0 };
        match (is_port(local, port), is_port(remote, port)) {
            (true, _) if state != LISTENS => number(to_read),
            (_, true) => number(to_send),
            _ => 0,
        }
    };
    table.lines().skip(1).map(of_row).sum()
}

/// The state of a listener, whose queues are something else.
const LISTENS: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_port_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     1: 0100007F:1FBD 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 12 2 0 17\n\
                     2: 0100007F:1FBE 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0 0\n";
        assert_eq!(bound(table, 8125), Some(Queue { waiting: 768, drops: 17 }));
        assert_eq!(bound(table, 8126), Some(Queue { waiting: 0, drops: 0 }));
        assert_eq!(bound(table, 1), None);
    }

    #[test]
    fn what_waits_on_streams_is_at_both_ends() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
                     0: 0100007F:1FBD 00000000:0000 0A 00000000:00000007 00:00000000 00000000\n\
                     1: 0100007F:1FBD 0100007F:9000 01 00000005:00000010 00:00000000 00000000\n\
                     2: 0100007F:9000 0100007F:1FBD 01 00000100:00000003 00:00000000 00000000\n\
                     3: 0100007F:9000 0100007F:1FBE 01 00000100:00000003 00:00000000 00000000\n";
        assert_eq!(waiting(table, 8125), 0x110);
        assert!(listener(table, 8125) && !listener(table, 8126) && !listener(table, 0x9000));
    }

    #[test]
    fn run_time_and_turns_are_read() {
        assert_eq!(
            scheduled("145866170 8825623 401\n"),
            Some(Ran { nanos: 145_866_170, turns: 401 })
        );
        assert_eq!(scheduled(""), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = usage(std::process::id());
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib, "{usage:?}");
    }
}
