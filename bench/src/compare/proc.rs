//! The figures of a process and of its sockets, from /proc.

use std::fs;

use nix::sys::time::TimeValLike as _;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::Process;

/// The figures of a process and its descendants.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// The CPU time of all threads, user and system.
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
    /// The number of times that it began to wait: its wake-ups.
    pub(crate) sleeps: u64,
}

/// A UDP socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Queued bytes, as the kernel counts them.
    pub(crate) waiting: u64,
    /// Datagrams dropped since it was bound.
    pub(crate) drops: u64,
}

/// The number of a process as the system calls take it.
pub(crate) fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap_or(i32::MAX))
}

fn process(number: u32) -> Option<Process> {
    Process::new(pid(number).as_raw()).ok()
}

pub(crate) fn usage(number: u32) -> Usage {
    let mut all = Usage::default();
    let mut unread = vec![number];
    while let Some(number) = unread.pop() {
        let Some(process) = process(number) else { continue };
        // Of all threads, those that have ended too.
        let cpu = clock_getcpuclockid(pid(number)).and_then(clock_gettime);
        all.cpu_seconds += cpu.map_or(0.0, |time| time.num_nanoseconds() as f64 / 1e9);
        if let Ok(status) = process.status() {
            all.resident_kib += status.vmrss.unwrap_or(0);
            all.peak_kib += status.vmhwm.unwrap_or(0);
        }
        for task in process.tasks().into_iter().flatten().flatten() {
            let status = task.status().ok();
            all.sleeps += status.and_then(|status| status.voluntary_ctxt_switches).unwrap_or(0);
            unread.extend(task.children().unwrap_or_default());
        }
    }
    all
}

pub(crate) fn open_files(number: u32) -> usize {
    process(number).and_then(|process| process.fd_count().ok()).unwrap_or(0)
}

/// Returns the UDP socket bound to this port, or `None`.
pub(crate) fn queue(port: u16) -> Option<Queue> {
    ["/proc/net/udp", "/proc/net/udp6"]
        .into_iter()
        .find_map(|table| bound(&fs::read_to_string(table).unwrap_or_default(), port))
}

/// Returns the bytes queued on TCP connections to this local port: not read by the server yet, or
/// not accepted by its kernel yet.
pub(crate) fn waiting_streams(port: u16) -> u64 {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let waiting = |stream: TcpNetEntry| {
        match (stream.local_address.port() == port, stream.remote_address.port() == port) {
            // The queues of a listener are something else.
            (true, _) if stream.state != TcpState::Listen => stream.rx_queue,
            (_, true) => stream.tx_queue,
            _ => 0,
        }
    };
    tables.into_iter().flatten().flatten().map(|stream| u64::from(waiting(stream))).sum()
}

/// Returns the sums over all rows of /proc/net/udp with this local port, since several sockets may
/// share it. Returns `None` if there is no such row. procfs leaves out the column of drops.
fn bound(table: &str, port: u16) -> Option<Queue> {
    let row = |row: &str| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let (_, waiting) = fields.get(4)?.split_once(':')?;
        let waiting = u64::from_str_radix(waiting, 16).ok()?;
        let is_it = u16::from_str_radix(local, 16) == Ok(port);
        is_it.then_some(Queue { waiting, drops: fields.last()?.parse().ok()? })
    };
    table.lines().filter_map(row).reduce(|one, other| Queue {
        waiting: one.waiting + other.waiting,
        drops: one.drops + other.drops,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

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
    fn unread_bytes_of_a_stream_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(waiting_streams(port), 0);
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _server = listener.accept().unwrap();
        client.write_all(&[b'x'; 272]).unwrap();
        assert_eq!(waiting_streams(port), 272);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = usage(std::process::id());
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib, "{usage:?}");
        assert!(usage.cpu_seconds > 0.0, "{usage:?}");
        assert!(open_files(std::process::id()) > 2);
    }
}
