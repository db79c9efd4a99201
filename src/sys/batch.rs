//! Receives many datagrams in one call (recvmmsg), into buffers that are allocated once. Datagrams
//! that the kernel passes in one piece (UDP_GRO) are separated again.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::slice;

use crate::sender::Sender;

/// Room for any UDP datagram. The odd 64 bytes put the slots into different cache sets.
const SLOT_BYTES: usize = 65_536 + 64;

/// Buffers for one recvmmsg, used again for each.
///
/// ```text
///   headers[i] ─┬▶ iovecs[i] ──▶ bytes[i × SLOT_BYTES ..]    the datagram
///               ├▶ names[i]                                  its sender
///               └▶ controls[i]                               control messages, if there is room
/// ```
/// The arrows are raw pointers, made once. They stay valid because none of the five vectors ever
/// grows, and no `&mut` to `bytes`, `names`, `controls` or `iovecs` is made after them. The bytes
/// are zeroed by the allocator, so memory is used only for slots that datagrams have arrived in.
pub(crate) struct RecvBatch {
    bytes: Vec<u8>,
    #[allow(dead_code)] // read by the kernel
    iovecs: Vec<libc::iovec>,
    names: Vec<Name>,
    #[allow(dead_code)] // read by way of the headers
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
    /// The slots with datagrams that are not taken yet.
    waiting: Range<usize>,
    /// The bytes taken of the first of these slots. The last may be in the middle of a datagram.
    taken: usize,
    /// The most datagrams of the next call. There are fewer if they are large, since a call copies
    /// all of them.
    ask: usize,
}

impl RecvBatch {
    /// The most datagrams of one call. More bring no measurable gain, and make a turn longer.
    pub(crate) const SLOTS: usize = 64;

    pub(crate) fn new() -> Self {
        let mut bytes = vec![0_u8; Self::SLOTS * SLOT_BYTES];
        // SAFETY: plain integers and raw pointers, for which all zeros is a value.
        let header: libc::mmsghdr = unsafe { mem::zeroed() };
        let buffer = bytes.as_mut_ptr();
        let mut iovecs: Vec<_> = (0..Self::SLOTS)
            .map(|slot| libc::iovec {
                iov_base: buffer.wrapping_add(slot * SLOT_BYTES).cast(),
                iov_len: SLOT_BYTES,
            })
            .collect();
        // SAFETY: plain integers, for which all zeros is a value.
        let mut names: Vec<Name> = vec![unsafe { mem::zeroed() }; Self::SLOTS];
        let first_name = names.as_mut_ptr();
        let mut controls = vec![Control::default(); Self::SLOTS];
        let first_control = controls.as_mut_ptr();
        let mut headers = vec![header; Self::SLOTS];
        let first_iovec = iovecs.as_mut_ptr();
        for (slot, header) in headers.iter_mut().enumerate() {
            header.msg_hdr.msg_iov = first_iovec.wrapping_add(slot);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = first_control.wrapping_add(slot).cast();
            header.msg_hdr.msg_name = first_name.wrapping_add(slot).cast();
        }
        Self { bytes, iovecs, names, controls, headers, waiting: 0..0, taken: 0, ask: Self::SLOTS }
    }

    /// Receives datagrams of a socket, up to a bound, in one call that never blocks. Returns
    /// `false` if the socket is empty after it. All datagrams received before must be taken.
    ///
    /// Fails with `WouldBlock` if there is none, and with an error that an ICMP answer left on the
    /// socket.
    ///
    /// Descriptors that a sender put into a datagram are closed here, whatever `room` is. The room
    /// decides which control messages the kernel writes first, not what a client may send.
    pub(crate) fn fill(&mut self, fd: BorrowedFd<'_>, room: ControlRoom) -> io::Result<bool> {
        debug_assert!(self.is_empty(), "datagrams would be overwritten");
        let asked = self.ask;
        #[allow(clippy::cast_possible_truncation)] // at most SLOTS
        let slots = asked as libc::c_uint;
        for header in &mut self.headers[..asked] {
            // The kernel wrote how long the last ones were.
            header.msg_hdr.msg_namelen = NAME_BYTES;
            header.msg_hdr.msg_controllen = room.0 as _;
        }
        loop {
            // SAFETY: each header points to one iovec, to NAME_BYTES of a name and to a control,
            // each iovec to SLOT_BYTES of `bytes`, all owned by `self`. They were not moved
            // since, and nothing else borrows them while `self` is borrowed mutably.
            let count = unsafe {
                libc::recvmmsg(
                    fd.as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    slots,
                    // CLOEXEC: a command must not inherit a descriptor between its arrival and its
                    // close.
                    (libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC) as _,
                    ptr::null_mut(),
                )
            };
            if let Ok(count) = usize::try_from(count) {
                self.waiting = 0..count.min(asked);
                self.waiting.clone().for_each(|slot| self.close_descriptors(slot));
                self.ask = self.worth_asking();
                return Ok(count >= asked);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Returns how many datagrams of the size just received make a turn's work.
    fn worth_asking(&self) -> usize {
        const BYTES: usize = 256 * 1024;
        let received = &self.headers[self.waiting.clone()];
        let bytes: usize = received.iter().map(|header| header.msg_len as usize).sum();
        let mean = (bytes / received.len().max(1)).max(1);
        (BYTES / mean).clamp(1, Self::SLOTS)
    }

    /// Whether all datagrams of the last [`Self::fill`] are taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns how many datagrams of the last [`Self::fill`] are not taken.
    pub(crate) fn len(&self) -> u32 {
        // At most SLOTS.
        #[allow(clippy::cast_possible_truncation)]
        let len = self.waiting.len() as u32;
        len
    }

    /// Returns the rest of the next datagram of the last [`Self::fill`], or `None` if all are
    /// taken. The same datagram is returned until it is [consumed](Self::consume).
    pub(crate) fn next(&self) -> Option<Datagram<'_>> {
        let slot = self.waiting.clone().next()?;
        let length = self.received(slot);
        let piece = self.piece(slot).unwrap_or(length).max(1);
        let begin = self.taken - self.taken % piece;
        let end = length.min(begin.saturating_add(piece));
        Some(self.datagram(slot, self.taken..end, self.taken > begin))
    }

    /// Marks `bytes` of the [next](Self::next) datagram as taken. An empty datagram is taken by 0.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= self.received(self.waiting.start) {
            self.taken = 0;
            self.waiting.start += 1;
        }
    }

    /// Returns the number of bytes in a slot.
    fn received(&self, slot: usize) -> usize {
        usize::try_from(self.headers[slot].msg_len).map_or(SLOT_BYTES, |len| len.min(SLOT_BYTES))
    }

    /// Returns the length of the datagrams in a slot if the kernel has joined several. Only the
    /// last one may be shorter.
    fn piece(&self, slot: usize) -> Option<usize> {
        let is_it =
            |message: &Message<'_>| (message.level, message.kind) == (libc::SOL_UDP, libc::UDP_GRO);
        let bytes = self.messages(slot).find(is_it)?.ints().next()?;
        usize::try_from(bytes).ok().filter(|&bytes| bytes > 0)
    }

    /// Closes the descriptors that came with a datagram. They are open in this process until then,
    /// and any local client could use up its limit of open files.
    fn close_descriptors(&self, slot: usize) {
        for message in self.messages(slot).filter(Message::holds_descriptors) {
            for descriptor in message.ints().filter(|descriptor| *descriptor >= 0) {
                // SAFETY: the kernel has just opened it for this process. Only this message names
                // it, and it is read once, here. So nothing else owns it.
                drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }

    /// Returns the control messages of a slot, including those before a place where the kernel cut
    /// them off (MSG_CTRUNC).
    fn messages(&self, slot: usize) -> Messages<'_> {
        #[allow(clippy::unnecessary_cast)] // its width differs in musl
        let length = self.headers[slot].msg_hdr.msg_controllen as usize;
        let control = &self.controls[slot];
        // SAFETY: `control` is that many bytes of integers, all of them initialized.
        let bytes =
            unsafe { slice::from_raw_parts(ptr::from_ref(control).cast(), size_of::<Control>()) };
        Messages { rest: &bytes[..length.min(bytes.len())] }
    }

    fn datagram(&self, slot: usize, part: Range<usize>, is_rest: bool) -> Datagram<'_> {
        Datagram {
            is_rest,
            bytes: &self.bytes[slot * SLOT_BYTES..][part],
            truncated: self.headers[slot].msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            sender: self.sender(slot),
        }
    }

    /// Returns the sender of the datagram in a slot. A name that is no internet address is that of
    /// a unix socket, which mostly has none. Its process is in a control message.
    fn sender(&self, slot: usize) -> Sender {
        let name = &self.names[slot];
        match (libc::c_int::from(name.sin6_family), self.headers[slot].msg_hdr.msg_namelen) {
            (libc::AF_INET6, 1..) => {
                let port = u16::from_be(name.sin6_port);
                let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
                let address = SocketAddrV6::new(address, port, 0, name.sin6_scope_id);
                Sender::Internet(SocketAddr::V6(address))
            }
            (libc::AF_INET, 1..) => {
                // Both kinds of address agree up to here. The IPv4 address is in the place of the
                // flow label.
                let address = Ipv4Addr::from(u32::from_be(name.sin6_flowinfo));
                Sender::Internet((address, u16::from_be(name.sin6_port)).into())
            }
            _ => self.process(slot),
        }
    }

    /// Returns the process that has sent the datagram in a slot. It is known if the socket requests
    /// credentials.
    fn process(&self, slot: usize) -> Sender {
        let is_it = |message: &Message<'_>| {
            (message.level, message.kind) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
        };
        let Some(message) = self.messages(slot).find(is_it) else { return Sender::Unix };
        let mut ints = message.ints();
        let (Some(process), Some(user)) = (ints.next(), ints.next()) else { return Sender::Unix };
        Sender::of_process(process, user.cast_unsigned())
    }
}

/// How many bytes of control messages the kernel may write for one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlRoom(usize);

impl ControlRoom {
    /// Without room the kernel itself closes a datagram's descriptors.
    pub(crate) const NONE: Self = Self(0);
    /// For unix sockets that request credentials. The kernel writes these first, and they fill the
    /// room. So it has none for descriptors, and closes them itself.
    pub(crate) const CREDENTIALS: Self = Self(
        (size_of::<libc::cmsghdr>() + size_of::<libc::ucred>())
            .next_multiple_of(align_of::<usize>()),
    );
    /// For UDP sockets: the length of each datagram, if the kernel has joined several.
    pub(crate) const PIECES: Self = Self(size_of::<Control>());
}

/// Room for one control message of an int (UDP_GRO) or of a `ucred`, aligned as a header must be.
type Control = [u64; 4];

const _: () = assert!(ControlRoom::CREDENTIALS.0 <= size_of::<Control>());

/// One control message.
struct Message<'a> {
    level: libc::c_int,
    kind: libc::c_int,
    data: &'a [u8],
}

impl Message<'_> {
    /// Whether the data is descriptors. A sender may attach SCM_RIGHTS. SCM_PIDFD needs a socket
    /// option, which a passed-in socket may have.
    fn holds_descriptors(&self) -> bool {
        const SCM_PIDFD: libc::c_int = 4; // not in libc
        self.level == libc::SOL_SOCKET && matches!(self.kind, libc::SCM_RIGHTS | SCM_PIDFD)
    }

    /// The data as ints. Trailing bytes that are no whole int are left out.
    fn ints(&self) -> impl Iterator<Item = RawFd> {
        let (ints, _) = self.data.as_chunks();
        ints.iter().map(|bytes| RawFd::from_ne_bytes(*bytes))
    }
}

/// An iterator over the control messages in a slice of bytes.
///
/// CMSG_NXTHDR would skip a last message without padding, which the kernel writes if the room ends
/// there.
struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        const HEADER: usize = size_of::<libc::cmsghdr>();
        const ALIGN: usize = align_of::<usize>();
        let header = self.rest.get(..HEADER)?;
        // SAFETY: the slice is as long as the header, which is plain integers.
        let header: libc::cmsghdr =
            unsafe { header.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        #[allow(clippy::unnecessary_cast)] // its width differs in musl
        let length = (header.cmsg_len as usize).min(self.rest.len());
        let data = self.rest.get(HEADER..length)?;
        let padded = length.next_multiple_of(ALIGN).min(self.rest.len());
        self.rest = &self.rest[padded..];
        Some(Message { level: header.cmsg_level, kind: header.cmsg_type, data })
    }
}

/// Room for an internet address of either family.
type Name = libc::sockaddr_in6;
#[allow(clippy::cast_possible_truncation)] // 28
const NAME_BYTES: libc::socklen_t = size_of::<Name>() as libc::socklen_t;

/// One datagram, in the buffer it was received into.
#[derive(Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether its beginning was taken before.
    pub(crate) is_rest: bool,
    /// Whether it was longer than the buffer, so that its end is lost.
    pub(crate) truncated: bool,
    pub(crate) sender: Sender,
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RecvBatch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
