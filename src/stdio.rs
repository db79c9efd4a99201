//! Standard output and standard error as streams on which a write never waits, even if their reader
//! is slow or stopped.
//!
//! The open file description of descriptor 1 or 2 is shared with the process that started the
//! server, so its flags must not change. A pipe or a terminal is therefore opened a second time,
//! nonblocking. A socket gets `MSG_DONTWAIT` with each call. A regular file never blocks. It is
//! written through the shared description, whose file offset all its writers share.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use socket2::Socket;

/// The paths that name standard output.
pub(crate) const OUTPUT_NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// An inherited stream, to which writes never block.
#[derive(Debug)]
pub enum StandardStream {
    /// It never blocks: a regular file, or a nonblocking description of our own.
    File(File),
    Socket(Socket),
    /// A stream that could not be opened again: it belongs to another user, or /proc is not
    /// mounted. It is nonblocking only during each write.
    ///
    /// Calling poll(2) first would not do, because another writer may use up the room between the
    /// two calls. The cost: a process that shares the stream and writes at that moment may get
    /// `EAGAIN` instead of waiting.
    Shared(File),
}

impl StandardStream {
    /// Opens standard output. Must be called before privileges are dropped, since a terminal or a
    /// pipe belongs to the user who started the server.
    pub fn output() -> io::Result<Self> {
        Self::of(io::stdout().as_fd().try_clone_to_owned()?)
    }

    /// Opens standard error. Must be called before privileges are dropped, as
    /// [`output`](Self::output).
    pub fn error() -> io::Result<Self> {
        Self::of(io::stderr().as_fd().try_clone_to_owned()?)
    }

    /// Takes over a descriptor, and makes writes to it nonblocking in the way that suits its kind.
    pub(crate) fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let file = File::from(descriptor);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Self::Socket(Socket::from(OwnedFd::from(file))));
        }
        if kind.is_file() {
            return Ok(Self::File(file));
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        match OpenOptions::new().write(true).custom_flags(flags).open(path) {
            Ok(own) => Ok(Self::File(own)),
            Err(_) => Ok(Self::Shared(file)),
        }
    }

    /// Registers for events when the stream can be written to again. A stream that never blocks has
    /// none.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = self.as_fd().as_raw_fd();
        match registry.register(&mut SourceFd(&descriptor), token, Interest::WRITABLE) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }

    /// Whether it is a regular file, whose writes are limited only by its disk.
    pub(crate) fn is_regular(&self) -> bool {
        match self {
            Self::File(file) => file.metadata().is_ok_and(|found| found.is_file()),
            Self::Socket(_) | Self::Shared(_) => false,
        }
    }

    /// Writes as many bytes as there is room for. Fails with [`io::ErrorKind::WouldBlock`] if there
    /// is none.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => (&mut &*file).write(bytes),
            Self::Socket(socket) => socket.send_with_flags(bytes, libc::MSG_DONTWAIT),
            Self::Shared(file) => without_blocking(file, |mut file| file.write(bytes)),
        }
    }
}

impl AsFd for StandardStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::File(file) | Self::Shared(file) => file.as_fd(),
            Self::Socket(socket) => socket.as_fd(),
        }
    }
}

/// Makes a shared file nonblocking while `act` runs.
fn without_blocking<T>(file: &File, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
    let before = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    if before.contains(OFlag::O_NONBLOCK) {
        return act(file);
    }
    fcntl(file, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK))?;
    let result = act(file);
    fcntl(file, FcntlArg::F_SETFL(before))?;
    result
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Fills the stream until it would block. Returns how many bytes that took.
    fn fill(stdout: &StandardStream) -> usize {
        let mut filled = 0;
        loop {
            match stdout.write(&[b'x'; 4096]) {
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return filled,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_pipe_without_a_reader_does_not_block_and_keeps_its_flags() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stdout = StandardStream::of(writer.try_clone().unwrap().into()).unwrap();
        let filled = fill(&stdout);
        assert!(filled > 0);
        reader.read_exact(&mut vec![0; filled]).unwrap();
        assert_eq!(fill(&stdout), filled);
        let flags = fcntl(&writer, FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "others share it");
    }

    #[test]
    fn a_stream_that_cannot_be_opened_again_does_not_block_either() {
        let (mut reader, writer) = io::pipe().unwrap();
        let flags = || fcntl(&writer, FcntlArg::F_GETFL).unwrap();
        let before = flags();
        let shared = StandardStream::Shared(File::from(OwnedFd::from(writer.try_clone().unwrap())));
        let filled = fill(&shared);
        assert!(filled > 0);
        reader.read_exact(&mut vec![0; filled]).unwrap();
        assert_eq!(fill(&shared), filled);
        assert_eq!(flags(), before, "others share it");
    }

    #[test]
    fn a_socket_without_a_reader_does_not_block() {
        let (here, there) = UnixStream::pair().unwrap();
        let stdout = StandardStream::of(here.into()).unwrap();
        let filled = fill(&stdout);
        let mut rest = vec![0; filled];
        (&there).read_exact(&mut rest).unwrap();
        assert!(rest.iter().all(|&byte| byte == b'x'));
    }

    #[test]
    fn a_file_is_written_where_others_left_off() {
        let mut file = tempfile::tempfile().unwrap();
        let stdout = StandardStream::of(file.try_clone().unwrap().into()).unwrap();
        file.write_all(b"log\n").unwrap();
        stdout.write(b"a 1 1\n").unwrap();
        file.write_all(b"log\n").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "log\na 1 1\nlog\n");
    }
}
