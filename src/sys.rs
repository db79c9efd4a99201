//! Every `unsafe` of the crate: safe functions for system calls that std, mio and socket2 do not
//! offer.
//!
//! - For the links of sinks: the unacknowledged bytes of a socket, and the last answer of its peer.
//! - For datagram sockets: the size of the receive buffer, the drop counter, and receiving many
//!   datagrams in one call.
//! - For the process: the limit of open files, sockets that were passed in, ended children, and a
//!   setting of the allocator.
//! - For a release: `callers` stands in for the unwinder, which a release does not have.
//!
//! Only the buffers of a [`batch::RecvBatch`] keep state, and nothing blocks.

#![allow(unsafe_code)] // the one module that may: each block has its reason

pub(crate) mod batch;
#[cfg(without_callers)]
mod callers;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::Socket;

/// Returns the memory of the machine.
pub(crate) fn memory_bytes() -> Option<u64> {
    // SAFETY: it takes a number and returns one.
    let number = |name| u64::try_from(unsafe { libc::sysconf(name) }).ok();
    number(libc::_SC_PHYS_PAGES)?.checked_mul(number(libc::_SC_PAGESIZE)?)
}

/// Makes glibc merge each small block with its free neighbours when it is freed.
///
/// By default glibc only collects blocks of up to 128 bytes, and merges all of them at some later
/// request for a large block. With a million series that request took up to 4 ms, wherever it was
/// made.
#[cfg(target_env = "gnu")]
pub(crate) fn merge_freed_blocks_at_once() {
    // SAFETY: it sets a number of the allocator.
    unsafe { libc::mallopt(libc::M_MXFAST, 0) };
}

/// Other C libraries do not collect freed blocks.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn merge_freed_blocks_at_once() {}

/// Returns the bytes written to a TCP socket that its peer has not acknowledged (SIOCOUTQ).
///
/// The number is right also after a reset. Fails if the descriptor is no socket.
pub(crate) fn outstanding(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int, and `bytes` outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check(result)?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// The last signs of life of a TCP peer (TCP_INFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerActivity {
    /// The time since its last acknowledgement. An answer to a window probe is one, too.
    pub(crate) last_ack: Duration,
    /// Whether it must still acknowledge segments in flight, or answer a window probe. If it must
    /// do neither although bytes are outstanding, its window is closed and it answered the last
    /// probe.
    pub(crate) owes_answer: bool,
}

/// Reads from the kernel the [`PeerActivity`] of the peer of a TCP socket.
pub(crate) fn peer_activity(fd: BorrowedFd<'_>) -> io::Result<PeerActivity> {
    // SAFETY: `tcp_info` is plain integers, for which all zeros is a value.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    get_option(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)?;
    Ok(PeerActivity {
        last_ack: Duration::from_millis(u64::from(info.tcpi_last_ack_recv)),
        owes_answer: info.tcpi_unacked > 0 || info.tcpi_probes > 0,
    })
}

/// Raises the limit of open files as far as is possible without privileges. Returns the new limit.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = limit_of_files()?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit to read from.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    #[allow(clippy::useless_conversion)] // 32 bits wide on some platforms
    Ok(limit.rlim_cur.into())
}

/// Returns the limit of open files.
pub(crate) fn open_files_limit() -> io::Result<u64> {
    #[allow(clippy::useless_conversion)] // 32 bits wide on some platforms
    Ok(limit_of_files()?.rlim_cur.into())
}

fn limit_of_files() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to, and outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(limit)
}

/// Returns the number of open descriptors of this process. Fails if /proc is not mounted.
///
/// Before Linux 6.2 all of them are listed, which takes about 2 us each.
pub(crate) fn open_files() -> io::Result<usize> {
    if let Some(files) = known_open_files() {
        return Ok(files);
    }
    // One of them is the descriptor of the folder itself.
    Ok(std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// Returns the number of open descriptors of this process, without listing them. `None` before
/// Linux 6.2, where the folder has no size.
pub(crate) fn known_open_files() -> Option<usize> {
    let size = std::fs::metadata("/proc/self/fd").ok()?.len();
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Returns the bytes of this process that are in memory. `None` if they cannot be read.
pub(crate) fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: reads a constant of the system, and touches no memory of this process.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}

/// Returns the rows and columns of a terminal. `None` if `fd` is no terminal, or has no size.
pub(crate) fn terminal_size(fd: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a valid winsize to write to, and outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    check(result).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then(|| (size.ws_row.into(), size.ws_col.into()))
}

/// Requests a receive buffer of `bytes`. A privileged process may exceed the limit of the sysctl.
/// Returns the size that was granted.
///
/// An unprivileged process leaves a larger buffer as it is. systemd may have granted one above the
/// limit, and SO_RCVBUF would lower it to the limit.
pub(crate) fn force_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let granted = || {
        let mut doubled: libc::c_int = 0;
        get_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &mut doubled)?;
        Ok(usize::try_from(doubled).unwrap_or(0) / 2)
    };
    let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let request = |option| set_int(fd.as_raw_fd(), libc::SOL_SOCKET, option, wanted);
    if request(libc::SO_RCVBUFFORCE).is_err() && granted()? < bytes {
        request(libc::SO_RCVBUF)?;
    }
    granted()
}

/// Allows the kernel to pass datagrams of one sender and of one length in one piece (UDP_GRO). They
/// come in this form from a network card that merges them, or from a sender that uses UDP_SEGMENT.
/// Fails before Linux 5.0.
pub(crate) fn enable_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Requests the credentials of the sender of each datagram of a unix socket (SO_PASSCRED).
pub(crate) fn enable_credentials(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, 1)
}

/// Opens the file that a unix socket is bound to (O_PATH), even if another file is at its path by
/// now.
///
/// This needs Linux 4.11 and CAP_NET_ADMIN. Root without that capability, as in most containers,
/// gets `PermissionDenied`.
pub(crate) fn socket_file(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const SIOCUNIXFILE: libc::Ioctl = 0x89e0; // not in libc; SIOCPROTOPRIVATE + 0
    // SAFETY: SIOCUNIXFILE takes no argument and returns a new descriptor. Sockets of other kinds
    // refuse it.
    let file = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCUNIXFILE, 0) };
    check(file)?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}

/// Takes over a descriptor that the parent process has passed in.
///
/// It must be open, and nothing else in this process may own it. The protocol of LISTEN_FDS
/// promises this once for each of its descriptors.
pub(crate) fn adopt(descriptor: RawFd) -> Socket {
    // SAFETY: see above. If the promise is broken, calls on the descriptor fail, or it is closed
    // for its other owner. No memory is touched.
    unsafe { Socket::from_raw_fd(descriptor) }
}

/// Not in libc. From asm-generic/socket.h, which all but SPARC and PA-RISC follow.
const SO_MEMINFO: libc::c_int = 55;
#[allow(clippy::cast_sign_loss)] // 8
const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;

/// Returns the number of datagrams that the kernel has dropped on this socket, modulo 2³².
pub(crate) fn socket_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut figures = [0_u32; DROPS + 1];
    get_option(fd.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, &mut figures)?;
    Ok(figures[DROPS])
}

/// Returns a number that no other socket of this machine has until the next boot. It stays the same
/// if the socket is passed to another process.
pub(crate) fn cookie(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    get_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, &mut cookie)?;
    Ok(cookie)
}

/// Returns the used bytes of a socket's receive buffer and its size, as the kernel counts them.
pub(crate) fn receive_queue(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    const TAKEN: usize = libc::SK_MEMINFO_RMEM_ALLOC as usize;
    const ROOM: usize = libc::SK_MEMINFO_RCVBUF as usize;
    let mut figures = [0_u32; DROPS + 1];
    get_option(fd.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, &mut figures)?;
    Ok((figures[TAKEN], figures[ROOM]))
}

/// Returns how many datagrams the kernel queues for a unix socket that is made now. Each network
/// namespace has its own limit: a container has 10, a host with systemd 512.
pub(crate) fn unix_queue_limit() -> u32 {
    const DEFAULT: u32 = 10;
    let text = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT)
}

/// Returns a child that has ended and was not reaped. The child is not reaped here, so that its
/// owner can still read its exit status.
pub(crate) fn ended_child() -> io::Result<Option<u32>> {
    poll_child(libc::P_ALL, 0, libc::WNOWAIT)
}

/// Reaps a child that has ended, whatever part of the process started it.
pub(crate) fn reap(child: u32) -> io::Result<()> {
    poll_child(libc::P_PID, child, 0).map(drop)
}

/// Returns the process id of a child that has ended, or `None` if there is none. Never waits.
fn poll_child(
    which: libc::idtype_t,
    child: libc::id_t,
    flag: libc::c_int,
) -> io::Result<Option<u32>> {
    // SAFETY: `siginfo_t` is plain integers, for which all zeros is a value. It means that there is
    // no ended child.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | flag;
    // SAFETY: `info` is a valid siginfo_t to write to, and outlives the call.
    check(unsafe { libc::waitid(which, child, &raw mut info, flags) })?;
    // SAFETY: waitid fills it in as for a SIGCHLD, which has a process id. If it does not, the
    // zeros remain.
    let pid = unsafe { info.si_pid() };
    Ok(u32::try_from(pid).ok().filter(|pid| *pid != 0))
}

/// A type made of integers only, so that any bytes that the kernel writes into it are a valid
/// value.
///
/// # Safety
/// A type that implements this has no padding that is read, and every byte pattern is a valid
/// value.
unsafe trait Integers {}

// SAFETY: an integer.
unsafe impl Integers for libc::c_int {}
// SAFETY: an integer.
unsafe impl Integers for u64 {}
// SAFETY: an array of integers.
unsafe impl<const N: usize> Integers for [u32; N] {}
// SAFETY: a C struct of integers.
unsafe impl Integers for libc::tcp_info {}

/// Reads a socket option. The kernel may write fewer bytes than `value` has. The rest stays as it
/// was.
fn get_option<T: Integers>(
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut T,
) -> io::Result<()> {
    let mut length = socklen::<T>();
    let target = (&raw mut *value).cast();
    // SAFETY: the kernel writes at most `length` bytes to `value`, which is that long. Any bytes
    // are a valid value of its type.
    let result = unsafe { libc::getsockopt(fd, level, name, target, &raw mut length) };
    check(result)
}

fn set_int(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = socklen::<libc::c_int>();
    // SAFETY: the kernel reads `length` bytes from `value`, which is exactly that long.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) };
    check(result)
}

#[allow(clippy::cast_possible_truncation)] // of types of a few hundred bytes at most
const fn socklen<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
