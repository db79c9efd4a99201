//! Sends datagrams of equal length in one call, which the kernel cuts apart (UDP_SEGMENT). This
//! takes a third of the time of one call for each.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{mem, ptr};

use crate::traffic::Payload;

/// Packets worth sorting and sending in one go.
pub(crate) const MANY: usize = 1024;

/// The most the kernel cuts out of one send, in packets and in bytes.
const SEGMENTS: usize = 64;
const BYTES: usize = 60_000;

/// Sends at once in one call.
const SENDS: usize = 64;

/// Room for a control message that holds a u16.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

// SAFETY: it only computes.
const CONTROL: usize = unsafe { libc::CMSG_SPACE(2) } as usize;
// SAFETY: as well.
const LENGTH: usize = unsafe { libc::CMSG_LEN(2) } as usize;

/// Sends packets on a connected UDP socket, those of one length that stand together in one piece.
/// At most [`MANY`] may be given. Says how many the kernel took, and whether it refused the next
/// one and has forgotten why; fails when that is the first one.
pub(crate) fn send_segments(
    socket: BorrowedFd<'_>,
    packets: &[Payload<'_>],
) -> io::Result<(usize, bool)> {
    assert!(packets.len() <= MANY, "as many slices as packets");
    let mut slices: Vec<libc::iovec> = packets
        .iter()
        // The kernel only reads through this pointer; C has no iovec of const.
        .map(|packet| libc::iovec {
            iov_base: packet.bytes.as_ptr().cast_mut().cast(),
            iov_len: packet.bytes.len(),
        })
        .collect();
    let mut controls = [Control([0; CONTROL]); SENDS];
    // SAFETY: mmsghdr is a C struct of integers and pointers, for which all zeros is a value.
    let mut headers: [libc::mmsghdr; SENDS] = unsafe { mem::zeroed() };
    let mut ends = Vec::with_capacity(SENDS);
    let mut rest = &mut slices[..];
    for (header, control) in headers.iter_mut().zip(&mut controls) {
        let count = group(rest.iter().map(|slice| slice.iov_len));
        if count == 0 {
            break;
        }
        let (slices, behind) = rest.split_at_mut(count);
        header.msg_hdr.msg_iov = slices.as_mut_ptr();
        header.msg_hdr.msg_iovlen = count as _;
        if count > 1 {
            let length = slices[0].iov_len;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            // SAFETY: the control message lies at the start of `control`, which is aligned for its
            // header and has room for it and for the u16 after it.
            unsafe {
                let message = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = LENGTH as _;
                #[expect(clippy::cast_possible_truncation, reason = "shorter than BYTES")]
                libc::CMSG_DATA(message).cast::<u16>().write_unaligned(length as u16);
            }
        }
        ends.push(ends.last().unwrap_or(&0) + count);
        rest = behind;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most SENDS")]
    let count = ends.len() as libc::c_uint;
    // SAFETY: the first `count` headers each point at slices of their own, those at packets, and at
    // a control message of their own; all of them outlive the call, which keeps no pointer.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok((if sent == 0 { 0 } else { ends[sent - 1] }, sent < ends.len()))
}

/// How many of the packets go in one send: those of the first one's length.
fn group(lengths: impl Iterator<Item = usize> + Clone) -> usize {
    let Some(first) = lengths.clone().next() else { return 0 };
    let most = (BYTES / first.max(1)).clamp(1, SEGMENTS);
    lengths.take(most).take_while(|length| *length == first && *length > 0).count().max(1)
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
        use std::os::fd::AsFd as _;
        assert_eq!(send_segments(from.as_fd(), &packets).unwrap(), (texts.len(), false));
        for text in texts {
            let mut buffer = [0; 16];
            let length = to.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text.as_bytes());
        }
    }
}
