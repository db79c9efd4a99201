//! Sockets that the parent process has bound and passed in: systemd's socket activation
//! (LISTEN_FDS, LISTEN_FDNAMES).
//!
//! Such a socket stays open when this process stops, and the next run reads the data in it. So a
//! restart loses no datagram.

use std::io;

use socket2::{Domain, Socket, Type};

use crate::sys;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Datagrams,
    Streams,
    Admin,
}

/// A socket that was passed in.
#[derive(Debug)]
pub struct Passed {
    pub socket: Socket,
    pub purpose: Purpose,
    /// A unix socket replaces those of `[unix]`, another one those of `[udp]` or `[tcp]`.
    pub is_unix: bool,
}

/// Takes over the sockets that were passed in. This can be done once. A stream socket named `admin`
/// is for the admin port. Fails with the name of the socket if one cannot be used.
pub fn take() -> io::Result<Vec<Passed>> {
    let mut all = Vec::new();
    for (descriptor, name) in sd_notify::listen_fds_with_names()? {
        let socket = sys::adopt(descriptor);
        let passed = understand(socket, &name).map_err(|error| {
            let what = format!("descriptor {descriptor} passed in as {name:?}: {error}");
            io::Error::new(error.kind(), what)
        })?;
        all.push(passed);
    }
    Ok(all)
}

/// Finds out the purpose of a socket by its type and its name. Fails if the server has no use for
/// it.
fn understand(socket: Socket, name: &str) -> io::Result<Passed> {
    let of_no_use = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let domain = socket.local_addr()?.domain();
    let is_unix = domain == Domain::UNIX;
    if !is_unix && domain != Domain::IPV4 && domain != Domain::IPV6 {
        return of_no_use("neither an internet nor a unix socket");
    }
    let purpose = match socket.r#type()? {
        Type::DGRAM if name == "admin" => return of_no_use("the admin port takes streams"),
        Type::DGRAM => Purpose::Datagrams,
        Type::STREAM if !socket.is_listener()? => {
            return of_no_use("a stream that does not listen");
        }
        Type::STREAM if name == "admin" => Purpose::Admin,
        Type::STREAM => Purpose::Streams,
        _ => return of_no_use("neither datagrams nor streams"),
    };
    socket.set_nonblocking(true)?;
    Ok(Passed { socket, purpose, is_unix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bind;
    use crate::ingest::bind::{Transport, bind};

    fn bound(transport: Transport) -> Socket {
        bind(transport, Bind::At("127.0.0.1:0".parse().unwrap())).unwrap().remove(0)
    }

    #[test]
    fn a_socket_tells_what_it_is_for() {
        for (transport, name, purpose) in [
            (Transport::Udp, "anything", Purpose::Datagrams),
            (Transport::Tcp, "statsd.socket", Purpose::Streams),
            (Transport::Tcp, "admin", Purpose::Admin),
        ] {
            let passed = understand(bound(transport), name).unwrap();
            assert_eq!((passed.purpose, passed.is_unix), (purpose, false));
        }
        let (stream, _other) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        assert!(understand(stream, "s").unwrap_err().to_string().contains("does not listen"));
        assert!(understand(bound(Transport::Udp), "admin").is_err());
    }
}
