//! Standard output as something that never makes the loop wait: whoever reads it may be slow, or asleep.
//!
//! It is shared with whoever started us, so its flags are left alone: a pipe or a terminal is opened once more, for us and
//! without blocking; a socket is asked not to wait at each call; a file never waits, and is written at the place it shares.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::Socket;

#[derive(Debug)]
pub enum Stdout {
    File(File),
    Socket(Socket),
}

impl Stdout {
    /// Before privileges are dropped: a terminal or a pipe belongs to whoever started us.
    pub fn open() -> io::Result<Self> {
        Self::of(io::stdout().as_fd().try_clone_to_owned()?)
    }

    pub(super) fn of(descriptor: OwnedFd) -> io::Result<Self> {
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
        OpenOptions::new().write(true).custom_flags(flags).open(path).map(Self::File)
    }

    /// Events for `token` tell when it can be written to again. What never waits has none.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = match self {
            Self::File(file) => file.as_raw_fd(),
            Self::Socket(socket) => socket.as_raw_fd(),
        };
        match registry.register(&mut SourceFd(&descriptor), token, Interest::WRITABLE) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }

    /// Writes what there is room for; [`io::ErrorKind::WouldBlock`] if there is none.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => (&mut &*file).write(bytes),
            Self::Socket(socket) => socket.send_with_flags(bytes, libc::MSG_DONTWAIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Fills it until it would block; returns how many bytes that took.
    fn fill(stdout: &Stdout) -> usize {
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
    fn a_pipe_that_nobody_reads_does_not_block_and_keeps_its_flags() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stdout = Stdout::of(writer.try_clone().unwrap().into()).unwrap();
        let filled = fill(&stdout);
        assert!(filled > 0);
        reader.read_exact(&mut vec![0; filled]).unwrap();
        assert_eq!(fill(&stdout), filled);
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "others share it");
    }

    #[test]
    fn a_socket_that_nobody_reads_does_not_block() {
        let (here, there) = UnixStream::pair().unwrap();
        let stdout = Stdout::of(here.into()).unwrap();
        let filled = fill(&stdout);
        let mut rest = vec![0; filled];
        (&there).read_exact(&mut rest).unwrap();
        assert!(rest.iter().all(|&byte| byte == b'x'));
    }

    #[test]
    fn a_file_is_written_where_others_left_off() {
        let mut file = tempfile::tempfile().unwrap();
        let stdout = Stdout::of(file.try_clone().unwrap().into()).unwrap();
        file.write_all(b"log\n").unwrap();
        stdout.write(b"a 1 1\n").unwrap();
        file.write_all(b"log\n").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "log\na 1 1\nlog\n");
    }
}
