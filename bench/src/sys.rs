//! System calls that std does not offer: `sendmmsg`, `recvmmsg`, `kill`, limits, signals. Linux
//! only. This is the only unsafe code of the bench, with `sys/`.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{mem, ptr};

use crate::traffic::Payload;

pub(crate) mod segments;

/// The most packets handed to the kernel in one call.
pub(crate) const BATCH: usize = 64;

/// Sends up to [`BATCH`] packets on a connected socket and says how many the kernel took.
///
/// Fewer than given means that the next one was refused, and the kernel has forgotten why. An
/// error means that the first one was, or that an earlier packet came back (`ECONNREFUSED`).
pub(crate) fn send_batch(socket: BorrowedFd<'_>, packets: &[Payload<'_>]) -> io::Result<usize> {
    let mut slices = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: mmsghdr is a C struct of integers and pointers, for which all zeros is a value.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut count = 0;
    for ((packet, slice), header) in packets.iter().zip(&mut slices).zip(&mut headers) {
        // The kernel only reads through this pointer; C has no iovec of const.
        slice.iov_base = packet.bytes.as_ptr().cast_mut().cast();
        slice.iov_len = packet.bytes.len();
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers each point at one slice of `slices`, and that at a packet;
    // all of them outlive the call, which keeps no pointer. `count` is at most BATCH.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// [`BATCH`], as the kernel takes it.
const LIMIT: libc::c_uint = 64;

/// Room for [`BATCH`] datagrams.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    lengths: [usize; BATCH],
}

/// The largest datagram received whole.
const DATAGRAM: usize = 64 << 10;

impl Received {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH * DATAGRAM], lengths: [0; BATCH] }
    }

    /// Waits for a datagram, and takes those that are there by then; says how many.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut slices = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: mmsghdr is a C struct of integers and pointers, for which all zeros is a value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let rooms = self.bytes.chunks_exact_mut(DATAGRAM);
        for ((room, slice), header) in rooms.zip(&mut slices).zip(&mut headers) {
            slice.iov_base = room.as_mut_ptr().cast();
            slice.iov_len = room.len();
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each header points at one slice, and that at a room of its own; all outlive the
        // call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                LIMIT,
                libc::MSG_WAITFORONE as _, // its integer type differs in musl
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = header.msg_len as usize;
        }
        Ok(count)
    }

    /// Those of the last [`fill`](Self::fill).
    pub(crate) fn datagrams(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let rooms = self.bytes.chunks_exact(DATAGRAM).zip(self.lengths);
        rooms.take(count).map(|(room, length)| &room[..length])
    }
}

/// Returns the CPU time of all threads of a process, including those that have ended. Returns
/// `None` if there is no such process.
pub fn cpu_time(process: u32) -> Option<Duration> {
    let process = libc::pid_t::try_from(process).ok()?;
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the calls write one integer and one struct, which outlive them.
    let known = unsafe {
        libc::clock_getcpuclockid(process, &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    known.then(|| Duration::new(seconds, nanos))
}

/// Asks a process to end.
pub fn terminate(process: u32) {
    signal(process, libc::SIGTERM);
}

/// Ends a process.
pub fn kill(process: u32) {
    signal(process, libc::SIGKILL);
}

/// Gives a process the highest priority; false if that is not allowed.
pub fn favour(process: u32) -> bool {
    const HIGHEST: libc::c_int = -20;
    // SAFETY: the call takes three integers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, process, HIGHEST) == 0 }
}

fn signal(process: u32, signal: libc::c_int) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: the call takes two integers.
        unsafe { libc::kill(process, signal) };
    }
}

/// The process gets a request to end when the thread that starts it ends, for whatever reason.
pub fn with_parent(command: &mut Command) -> &mut Command {
    let ends_too = || {
        // SAFETY: the call takes integers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
        Ok(())
    };
    // SAFETY: between fork and exec only one system call is made; nothing is allocated or locked.
    unsafe { command.pre_exec(ends_too) }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// From now on the first interrupt (or request to end) is only noted. The second one ends the
/// process as usual.
pub fn note_interrupts() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: sigaction is a C struct of integers and pointers, for which all zeros is a value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESETHAND | libc::SA_RESTART;
        // SAFETY: the action outlives the call; its function only stores to an atomic.
        unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
    }
}

/// One was noted.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Raises the limit of open files of this process and its children as far as possible. Returns the
/// limit.
// The limit has 32 bits on some platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub fn raise_open_files(wanted: u64) -> u64 {
    let wanted = libc::rlim_t::try_from(wanted).unwrap_or(libc::rlim_t::MAX);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the calls read and write one struct that outlives them.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let now = limit.rlim_cur;
        let most = limit.rlim_max;
        for (soft, hard) in [(wanted.max(now), most.max(wanted)), (wanted.min(most).max(now), most)]
        {
            let raised = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
                return soft.into();
            }
        }
    }
    limit.rlim_cur.into()
}
