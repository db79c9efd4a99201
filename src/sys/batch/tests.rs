//! Shows that descriptors which come with a datagram are closed when the call returns, whatever
//! room there was for them.

use std::fs::File;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::*;
use crate::sys::{enable_credentials, set_int};

/// More descriptors than there is room for.
const DESCRIPTORS: usize = 12;

/// Sends a datagram with the write ends of a pipe. The reader of that pipe gets its end once no
/// process has a write end open.
fn send_writers(from: &UnixDatagram, count: usize) -> PipeReader {
    let (reader, writer) = io::pipe().unwrap();
    let mut control = [0_u64; 10];
    let mut text = *b"a:1|c";
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    #[allow(clippy::cast_possible_truncation)] // 48
    let bytes = (count * size_of::<RawFd>()) as libc::c_uint;
    // SAFETY: plain integers and raw pointers, for which all zeros is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the header points to a control of 80 bytes, which is more than one message of `bytes`
    // takes. The datagram and its one part outlive the call.
    let sent = unsafe {
        header.msg_controllen = libc::CMSG_SPACE(bytes) as _;
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(bytes) as _;
        let data = libc::CMSG_DATA(message).cast::<RawFd>();
        (0..count).for_each(|at| data.add(at).write_unaligned(writer.as_raw_fd()));
        libc::sendmsg(from.as_raw_fd(), &raw const header, 0)
    };
    assert_eq!(usize::try_from(sent).unwrap(), text.len());
    reader
}

/// Waits for the end of the pipe. Another test may be starting a child, which has copies of all
/// descriptors for a moment.
#[allow(clippy::disallowed_methods)] // a test may block, and reads the clock to give up
fn ends(reader: PipeReader) -> bool {
    let mut reader = File::from(OwnedFd::from(reader));
    let flags = libc::O_NONBLOCK;
    // SAFETY: F_SETFL takes an int and touches no memory.
    assert_eq!(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, flags) }, 0);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match reader.read(&mut [0]) {
            Ok(0) => return true,
            _ if Instant::now() > deadline => return false,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn no_descriptor_stays_open_whatever_the_room() {
    let (here, there) = UnixDatagram::pair().unwrap();
    let mut batch = RecvBatch::new();
    for credentials in [0, 1] {
        set_int(here.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, credentials).unwrap();
        for room in 0..=size_of::<Control>() {
            let readers = [0, 1, 3, DESCRIPTORS].map(|count| send_writers(&there, count));
            batch.fill(here.as_fd(), ControlRoom(room)).unwrap();
            for reader in readers {
                assert!(ends(reader), "with {room} bytes of room, credentials {credentials}");
            }
            for _ in 0..4 {
                assert_eq!(batch.next().unwrap().bytes.len(), 5);
                batch.consume(5);
            }
            assert!(batch.next().is_none());
        }
    }
}

/// Shows that the credentials fill the room, so that the kernel opens none of the descriptors that
/// come with them. A message with descriptors would still be in the buffer.
#[test]
fn descriptors_never_get_in_beside_credentials() {
    let (here, there) = UnixDatagram::pair().unwrap();
    enable_credentials(here.as_fd()).unwrap();
    let mut batch = RecvBatch::new();
    let process = i32::try_from(std::process::id()).unwrap();
    let user = nix::unistd::geteuid().as_raw();
    for count in 0..=DESCRIPTORS {
        let reader = send_writers(&there, count);
        batch.fill(here.as_fd(), ControlRoom::CREDENTIALS).unwrap();
        let kinds: Vec<_> = batch.messages(0).map(|message| message.kind).collect();
        assert_eq!(kinds, [libc::SCM_CREDENTIALS], "{count} descriptors");
        let cut = batch.headers[0].msg_hdr.msg_flags & libc::MSG_CTRUNC != 0;
        assert_eq!(cut, count > 0, "the kernel reports that it has closed them");
        assert_eq!(batch.next().unwrap().sender, Sender::UnixProcess { process, user });
        batch.consume(5);
        assert!(ends(reader), "{count} descriptors");
    }
}

#[test]
fn there_is_room_for_the_credentials_of_one_sender() {
    let (here, there) = UnixDatagram::pair().unwrap();
    set_int(here.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, 1).unwrap();
    let reader = send_writers(&there, DESCRIPTORS);
    let mut batch = RecvBatch::new();
    batch.fill(here.as_fd(), ControlRoom::CREDENTIALS).unwrap();
    let messages: Vec<_> = batch.messages(0).collect();
    let [credentials] = messages.as_slice() else { panic!("{} messages", messages.len()) };
    assert_eq!((credentials.level, credentials.kind), (libc::SOL_SOCKET, libc::SCM_CREDENTIALS));
    let process = i32::try_from(std::process::id()).unwrap();
    assert_eq!(credentials.ints().next(), Some(process));
    assert!(ends(reader));
}

#[test]
fn a_control_message_that_is_cut_off_is_read_up_to_there() {
    let read = |bytes: &[u8]| {
        let messages = Messages { rest: bytes };
        messages.map(|message| message.ints().count()).collect::<Vec<_>>()
    };
    // SAFETY: plain integers, for which all zeros is a value.
    let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
    let text = |header: &libc::cmsghdr| {
        // SAFETY: a header is this many bytes of integers, and its padding is not read.
        let bytes = unsafe {
            slice::from_raw_parts(ptr::from_ref(header).cast::<u8>(), size_of_val(header))
        };
        bytes.to_vec()
    };
    let whole = size_of::<libc::cmsghdr>() + 8;
    header.cmsg_len = whole as _;
    let mut bytes = text(&header);
    bytes.extend([1; 8]);
    let two = [bytes.clone(), bytes.clone()].concat();
    assert_eq!(read(&two), [2, 2]);
    assert_eq!(read(&two[..two.len() - 4]), [2, 1]);
    assert_eq!(read(&two[..two.len() - 9]), [2]);
    // An invalid length ends the reading.
    for length in [0, 1, usize::MAX] {
        header.cmsg_len = length as _;
        let mut bytes = text(&header);
        bytes.extend([1; 4]);
        assert_eq!(read(&bytes).len(), usize::from(length == usize::MAX));
    }
}
