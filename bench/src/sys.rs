//! System calls that std does not offer. This is the only unsafe code of the bench.

#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmsg};

use crate::traffic::Payload;

/// The most packets of one call.
pub(crate) const BATCH: usize = 64;

/// The most that the kernel cuts out of one piece, in bytes.
const PIECE: usize = 60_000;

/// Sends the first packets that have one length, at most `most` of them, as one piece, which the
/// kernel cuts apart (`UDP_SEGMENT`). For many packets this takes a third of the time of one call
/// for each. Returns their number. An error may be about an earlier packet that came back
/// (`ECONNREFUSED`).
pub(crate) fn send_piece(
    socket: &impl AsFd,
    packets: &[Payload<'_>],
    most: usize,
) -> io::Result<usize> {
    let count = group(packets.iter().map(|packet| packet.bytes.len()).take(most));
    let slices: Vec<_> = packets[..count].iter().map(|packet| IoSlice::new(packet.bytes)).collect();
    let length = slices.first().map_or(0, |slice| u16::try_from(slice.len()).unwrap_or(u16::MAX));
    let cut = [ControlMessage::UdpGsoSegments(&length)];
    let cut = if count > 1 { &cut[..] } else { &[] };
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &slices, cut, MsgFlags::empty(), None)?;
    Ok(count)
}

/// How many of the packets go in one piece: those of the first one's length.
fn group(lengths: impl Iterator<Item = usize> + Clone) -> usize {
    let Some(first) = lengths.clone().next() else { return 0 };
    let most = (PIECE / first.max(1)).clamp(1, BATCH);
    lengths.take(most).take_while(|length| *length == first && *length > 0).count().max(1)
}

/// Waits for datagrams, and counts the newlines in those that have arrived. Returns the
/// number of newlines. `rooms` has a room for each datagram.
pub(crate) fn receive(
    socket: &impl AsFd,
    headers: &mut MultiHeaders<()>,
    rooms: &mut [Vec<u8>],
) -> io::Result<usize> {
    let mut slices: Vec<_> = rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
    let fd = socket.as_fd().as_raw_fd();
    let mut lines = 0;
    for datagram in recvmmsg(fd, headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)? {
        lines += datagram.iovs().map(|it| memchr::memchr_iter(b'\n', it).count()).sum::<usize>();
    }
    Ok(lines)
}

nix::ioctl_read_bad!(unsent, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// Returns the bytes sent on a Unix socket that the receiver has not read.
pub(crate) fn unread(socket: &impl AsFd) -> u64 {
    let mut bytes = 0;
    // SAFETY: the call writes one integer, which outlives it.
    let known = unsafe { unsent(socket.as_fd().as_raw_fd(), &raw mut bytes) };
    known.ok().and_then(|_| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// The process gets a request to end when the thread that starts it ends, for whatever reason.
pub fn with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only one system call is made; nothing is allocated or locked.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_of_one_length_and_no_more_than_the_kernel_cuts() {
        for (lengths, count) in [
            (vec![], 0),
            (vec![5], 1),
            (vec![0, 0], 1),
            (vec![5, 5, 6], 2),
            (vec![5; 100], 64),
            (vec![1432; 100], 41),
            (vec![65_000, 65_000], 1),
        ] {
            assert_eq!(group(lengths.iter().copied()), count, "{lengths:?}");
        }
    }

    #[test]
    fn each_packet_arrives_as_it_was() {
        let to = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        from.connect(to.local_addr().unwrap()).unwrap();
        let texts = ["a", "b", "cc", "dd", "ee", "f", "ggg"];
        let packets = texts.map(|text| Payload { bytes: text.as_bytes(), lines: 1 });
        for most in [1, BATCH] {
            let mut rest = &packets[..];
            while !rest.is_empty() {
                rest = &rest[send_piece(&from, rest, most).unwrap()..];
            }
            for text in texts {
                let mut buffer = [0; 16];
                let length = to.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], text.as_bytes());
            }
        }
    }
}
