//! Receiving datagrams many at a call (recvmmsg), into buffers that are made once.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::socklen;

/// Datagrams of one call. More gain nothing measurable and make a turn longer.
const SLOTS: usize = 64;
#[allow(clippy::cast_possible_truncation)] // 64
const SLOTS_UINT: libc::c_uint = SLOTS as libc::c_uint;

/// Room for any UDP datagram. The odd 64 bytes put the slots into different cache sets.
const SLOT_BYTES: usize = 65_536 + 64;

/// Buffers for one recvmmsg, used again for each.
///
/// ```text
///   headers[i] ──▶ iovecs[i] ──▶ bytes[i × SLOT_BYTES ..]     what the datagram says
///        └───────▶ names[i]                                   who sent it
/// ```
/// The arrows are raw pointers, made once: none of the four vectors ever grows, and no `&mut` to `bytes`, `names` or
/// `iovecs` is made after them. The bytes are zeroed by the allocator, so memory is only used where datagrams arrive.
pub(crate) struct RecvBatch {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    #[allow(dead_code)] // read by the kernel
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// How many headers the kernel wrote in the last call.
    used: usize,
}

impl RecvBatch {
    pub(crate) fn new() -> Self {
        let mut bytes = vec![0_u8; SLOTS * SLOT_BYTES];
        // SAFETY: plain integers and raw pointers, for which all zeros is a value.
        let (name, header): (libc::sockaddr_storage, libc::mmsghdr) = unsafe { mem::zeroed() };
        let mut names = vec![name; SLOTS];
        let buffer = bytes.as_mut_ptr();
        let mut iovecs: Vec<_> = (0..SLOTS)
            .map(|slot| libc::iovec {
                iov_base: buffer.wrapping_add(slot * SLOT_BYTES).cast(),
                iov_len: SLOT_BYTES,
            })
            .collect();
        let mut headers = vec![header; SLOTS];
        let (first_name, first_iovec) = (names.as_mut_ptr(), iovecs.as_mut_ptr());
        for (slot, header) in headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = first_name.wrapping_add(slot).cast();
            header.msg_hdr.msg_iov = first_iovec.wrapping_add(slot);
            header.msg_hdr.msg_iovlen = 1;
        }
        Self { bytes, names, iovecs, headers, used: SLOTS }
    }

    /// Takes what the socket holds, 64 datagrams at most, in one call that never blocks.
    ///
    /// Fails with `WouldBlock` when it holds none, and with an error left on the socket by an ICMP answer.
    pub(crate) fn recv(&mut self, fd: BorrowedFd<'_>) -> io::Result<Received<'_>> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = socklen::<libc::sockaddr_storage>();
        }
        loop {
            // SAFETY: each header points to one iovec and one name, each iovec to SLOT_BYTES of `bytes`, all owned by
            // `self`, not moved since and borrowed by nobody while `self` is borrowed mutably.
            let count = unsafe {
                libc::recvmmsg(
                    fd.as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    SLOTS_UINT,
                    libc::MSG_DONTWAIT as _,
                    ptr::null_mut(),
                )
            };
            if let Ok(count) = usize::try_from(count) {
                self.used = count.min(SLOTS);
                return Ok(Received { batch: self, slots: 0..self.used });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn datagram(&self, slot: usize) -> Datagram<'_> {
        let header = &self.headers[slot];
        let length = usize::try_from(header.msg_len).map_or(SLOT_BYTES, |len| len.min(SLOT_BYTES));
        Datagram {
            bytes: &self.bytes[slot * SLOT_BYTES..][..length],
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            name: &self.names[slot],
            name_bytes: header.msg_hdr.msg_namelen,
        }
    }
}

/// The datagrams of one call, and no others: what an earlier call left in the buffers is out of reach.
pub(crate) struct Received<'a> {
    batch: &'a RecvBatch,
    slots: std::ops::Range<usize>,
}

impl<'a> Iterator for Received<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        self.slots.next().map(|slot| self.batch.datagram(slot))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl ExactSizeIterator for Received<'_> {}

/// One datagram, in the buffer it was received into.
#[derive(Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether it was longer than the buffer, its end lost.
    pub(crate) truncated: bool,
    name: &'a libc::sockaddr_storage,
    name_bytes: libc::socklen_t,
}

impl Datagram<'_> {
    /// Who sent it; none for a datagram from a Unix socket.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        let name = ptr::from_ref(self.name);
        match libc::c_int::from(self.name.ss_family) {
            libc::AF_INET if self.name_bytes >= socklen::<libc::sockaddr_in>() => {
                // SAFETY: the kernel wrote a sockaddr_in, and a sockaddr_storage is aligned and large enough for any.
                Some(ipv4(unsafe { &*name.cast() }))
            }
            libc::AF_INET6 if self.name_bytes >= socklen::<libc::sockaddr_in6>() => {
                // SAFETY: as above, a sockaddr_in6.
                Some(ipv6(unsafe { &*name.cast() }))
            }
            _ => None,
        }
    }
}

fn ipv4(name: &libc::sockaddr_in) -> SocketAddr {
    let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
    SocketAddrV4::new(address, u16::from_be(name.sin_port)).into()
}

fn ipv6(name: &libc::sockaddr_in6) -> SocketAddr {
    let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
    let port = u16::from_be(name.sin6_port);
    SocketAddrV6::new(address, port, name.sin6_flowinfo, name.sin6_scope_id).into()
}
