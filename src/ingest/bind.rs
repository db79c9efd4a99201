//! Binds sockets to the addresses of the configuration, and takes over those that were passed in.
//!
//! The parent process may have bound sockets and passed them in: systemd's socket activation
//! (LISTEN_FDS, LISTEN_FDNAMES).
//!
//! Such a socket stays open when this process stops, and the next run reads the data in it. So a
//! restart loses no datagram.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Bind;
use crate::sys;

/// The kind of socket to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// A socket that could not be bound, and the address it was for.
#[derive(Debug)]
pub enum BindError {
    Internet { transport: Transport, address: SocketAddr, error: io::Error },
    Unix { path: PathBuf, error: io::Error },
}

impl BindError {
    /// Whether another socket has the address.
    pub fn is_taken(&self) -> bool {
        self.error().kind() == io::ErrorKind::AddrInUse
    }

    fn error(&self) -> &io::Error {
        match self {
            Self::Internet { error, .. } | Self::Unix { error, .. } => error,
        }
    }
}

impl std::fmt::Display for BindError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (transport, address, error) = match self {
            Self::Internet { transport, address, error } => (transport.name(), address, error),
            Self::Unix { path, error } => {
                write!(out, "cannot listen on unix {}: {error}", path.display())?;
                return unix_hint(error).map_or(Ok(()), |hint| write!(out, "; {hint}"));
            }
        };
        write!(out, "cannot listen on {transport} {address}: {error}")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                out,
                "; another process has the port (ss -lpn sport = :{} names it), or another bind of ours: stop it or change bind",
                address.port()
            ),
            io::ErrorKind::PermissionDenied => out.write_str(
                "; ports below 1024 need CAP_NET_BIND_SERVICE: run as root or choose a higher port",
            ),
            io::ErrorKind::AddrNotAvailable => {
                out.write_str("; no interface of this machine has that address: change bind")
            }
            _ => Ok(()),
        }
    }
}

/// Returns what the operator can do if a unix socket cannot be bound.
fn unix_hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::InvalidFilename => "choose a path of at most 107 bytes",
        io::ErrorKind::IsADirectory => "choose a path in it, such as FOLDER/statsd.sock",
        io::ErrorKind::AlreadyExists => "move the file away, or choose another path",
        io::ErrorKind::AddrInUse => {
            "stop that process (ss -xlp shows its id), or choose another path"
        }
        io::ErrorKind::NotFound => "create its folder, or choose a path in a folder that exists",
        io::ErrorKind::NotADirectory => {
            "a part of the path that must be a folder is a file: choose another path"
        }
        // Without the system's number the error has an explanation of its own.
        io::ErrorKind::PermissionDenied if error.raw_os_error() == Some(libc::EACCES) => {
            "give this user the right to write to its folder, or choose another path"
        }
        io::ErrorKind::ReadOnlyFilesystem => "choose a path on a disk that can be written to",
        _ => return None,
    })
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Binds every socket that `to` stands for. The sockets are nonblocking. TCP sockets listen.
pub fn bind(transport: Transport, to: Bind) -> Result<Vec<Socket>, BindError> {
    let sockets = bind_only(transport, to)?;
    for socket in sockets.iter().filter(|_| transport == Transport::Tcp) {
        socket.listen(1024).map_err(|error| {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let address = local_address(socket).unwrap_or(any);
            BindError::Internet { transport, address, error }
        })?;
    }
    Ok(sockets)
}

/// As [`bind`], but no socket listens. So no client can connect, and a server that starts at the
/// same moment can still listen on the TCP ports.
pub fn bind_only(transport: Transport, to: Bind) -> Result<Vec<Socket>, BindError> {
    match to {
        Bind::At(address) => Ok(vec![open(transport, address, Families::One)?]),
        Bind::Any(port) => any(transport, port).map(|socket| vec![socket]),
        Bind::Localhost(port) => loopbacks(transport, port),
    }
}

/// Opens one socket for IPv6 and IPv4, or for IPv4 alone if IPv6 is off.
fn any(transport: Transport, port: u16) -> Result<Socket, BindError> {
    let v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    match open(transport, (v6, port).into(), Families::Both) {
        Err(failed) if no_ipv6(failed.error()) => open(transport, (v4, port).into(), Families::One),
        other => other,
    }
}

/// Opens sockets for both loopback addresses on one port, or for IPv4 alone if IPv6 is off.
fn loopbacks(transport: Transport, port: u16) -> Result<Vec<Socket>, BindError> {
    // With port 0 the kernel chooses the port for IPv4. Another program may have it on IPv6.
    const TRIES: usize = 16;
    let mut tries = TRIES;
    loop {
        let v4 = open(transport, (Ipv4Addr::LOCALHOST, port).into(), Families::One)?;
        let given = local_address(&v4).map_or(port, |address| address.port());
        match open(transport, (Ipv6Addr::LOCALHOST, given).into(), Families::One) {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(failed) if no_ipv6(failed.error()) => return Ok(vec![v4]),
            Err(_) if port == 0 && tries > 0 => tries -= 1,
            Err(failed) => return Err(failed),
        }
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// The address families that a socket receives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Families {
    /// That of its address.
    One,
    /// IPv4 and IPv6, for a socket of an IPv6 address.
    Both,
}

fn open(
    transport: Transport,
    address: SocketAddr,
    families: Families,
) -> Result<Socket, BindError> {
    try_open(transport, address, families).map_err(|error| BindError::Internet {
        transport,
        address,
        error,
    })
}

/// Opens a socket and binds it.
fn try_open(transport: Transport, address: SocketAddr, families: Families) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(families == Families::One)?;
    }
    match transport {
        Transport::Tcp => socket.set_reuse_address(true)?,
        // If this fails, each datagram is received by itself. Sockets that were passed in are not
        // changed: the next process that has them may not expect several datagrams in one piece.
        Transport::Udp => _ = sys::enable_gro(socket.as_fd()),
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Returns the address of a socket. If port 0 was requested, the kernel has chosen the port.
pub fn local_address(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Datagrams,
    Streams,
    Admin,
}

/// A socket that was passed in.
#[derive(Debug)]
pub struct InheritedSocket {
    pub socket: Socket,
    pub purpose: Purpose,
    /// A unix socket replaces those of `[unix]`, another one those of `[udp]` or `[tcp]`.
    pub is_unix: bool,
}

/// Takes over the sockets that were passed in. This can be done once. A stream socket named `admin`
/// is for the admin port. Fails with the name of the socket if one cannot be used.
pub fn take_passed() -> io::Result<Vec<InheritedSocket>> {
    let mut all = Vec::new();
    for (descriptor, name) in sd_notify::listen_fds_with_names()? {
        let socket = sys::adopt(descriptor);
        let passed = classify(socket, &name).map_err(|error| {
            let what = format!("descriptor {descriptor} passed in as {name:?}: {error}");
            io::Error::new(error.kind(), what)
        })?;
        all.push(passed);
    }
    Ok(all)
}

/// Finds out the purpose of a socket by its type and its name. Fails if the server has no use for
/// it.
fn classify(socket: Socket, name: &str) -> io::Result<InheritedSocket> {
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
    Ok(InheritedSocket { socket, purpose, is_unix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::unix;

    #[test]
    fn both_loopbacks_share_a_port() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let sockets = bind(transport, Bind::Localhost(0)).unwrap();
            let ports: Vec<u16> =
                sockets.iter().map(|socket| local_address(socket).unwrap().port()).collect();
            assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
        }
    }

    #[test]
    fn a_port_that_is_only_bound_can_be_listened_on_by_another() {
        let address = Bind::At("127.0.0.1:0".parse().unwrap());
        let tried = bind_only(Transport::Tcp, address).unwrap();
        let address = local_address(&tried[0]).unwrap();
        let listening = bind(Transport::Tcp, Bind::At(address)).unwrap();
        assert!(bind_only(Transport::Tcp, Bind::At(address)).unwrap_err().is_taken());
        drop(listening);
    }

    #[test]
    fn a_taken_port_names_itself_and_the_way_out() {
        let taken = bind(Transport::Tcp, Bind::At("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = local_address(&taken[0]).unwrap();
        let error = bind(Transport::Tcp, Bind::At(address)).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("stop it"), "{error}");
    }

    fn bound(transport: Transport) -> Socket {
        bind(transport, Bind::At("127.0.0.1:0".parse().unwrap())).unwrap().remove(0)
    }

    #[test]
    fn a_socket_is_classified_by_its_type_and_its_name() {
        for (transport, name, purpose) in [
            (Transport::Udp, "anything", Purpose::Datagrams),
            (Transport::Tcp, "statsd.socket", Purpose::Streams),
            (Transport::Tcp, "admin", Purpose::Admin),
        ] {
            let passed = classify(bound(transport), name).unwrap();
            assert_eq!((passed.purpose, passed.is_unix), (purpose, false));
        }
        let (stream, _other) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        assert!(classify(stream, "s").unwrap_err().to_string().contains("does not listen"));
        assert!(classify(bound(Transport::Udp), "admin").is_err());
    }

    /// Shows that each reason why a unix socket cannot be bound has its own hint.
    #[test]
    fn a_unix_socket_that_cannot_be_bound_has_the_hint_of_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        let held = unix::bind(&at("held"), Type::STREAM, 0o600).unwrap();
        for (path, reason, hint) in [
            (at("."), "a folder has that path", "choose a path in it"),
            (at("file"), "a file that is no socket has that path", "move the file away"),
            (at(&"x".repeat(108)), " bytes", "at most 107 bytes"),
            (at("none/s"), "(os error 2)", "create its folder"),
            (at("file/s"), "(os error 20)", "is a file: choose another path"),
            (at("held"), "uses it and holds the lock", "stop that process"),
        ] {
            let error = unix::bind(&path, Type::DGRAM, 0o600).unwrap_err();
            let text = BindError::Unix { path, error }.to_string();
            let (before, after) = text.split_once("; ").unwrap();
            assert!(before.contains(reason), "{text}");
            assert!(after.contains(hint), "{text}");
        }
        drop(held);
        let denied = |error| BindError::Unix { path: at("s"), error }.to_string();
        let kernels = denied(io::Error::from_raw_os_error(libc::EACCES));
        assert!(kernels.contains("the right to write to its folder"), "{kernels}");
        let ours = denied(io::Error::new(io::ErrorKind::PermissionDenied, "the lock is another's"));
        assert!(ours.ends_with("the lock is another's"), "{ours}");
    }
}
