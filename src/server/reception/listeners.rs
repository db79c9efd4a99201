//! The sockets that the server listens on. They are opened at the start, or passed in by the
//! process that started the server.
//!
//! A reload compares them with the addresses that the new configuration wants. Only addresses that
//! are not bound yet are bound.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use mio::Registry;
use slab::Slab;
use socket2::{SockAddr, Socket, Type};

use crate::config::{Bind, Config};
use crate::files;
use crate::ingest::bind::{BindError, InheritedSocket, Purpose, Transport, bind};
use crate::ingest::datagrams::{DatagramSocket, SHORT_QUEUE};
use crate::ingest::listener::Listener;
use crate::ingest::unix::{self, SocketFile};
use crate::privileges::FileOwner;
use crate::server::server_error::ServerError;
use crate::token::EventSource;

/// The sockets that samples and admin clients come in by.
#[derive(Debug, Default)]
pub(in crate::server) struct Listeners {
    pub(in crate::server) datagrams: Slab<DatagramSocket>,
    /// Listeners for streams of lines.
    pub(in crate::server) streams: Slab<Listener>,
    /// Listeners for clients of the admin port.
    pub(in crate::server) admin: Slab<Listener>,
    open: Vec<OpenSocket>,
}

/// An open socket, and the address of the configuration that it was opened for.
#[derive(Debug)]
struct OpenSocket {
    source: EventSource,
    wanted: Endpoint,
    /// The file of a unix socket. It is removed when the socket is closed.
    file: Option<SocketFile>,
}

/// An address to listen on, and the kind of clients it is for. A reload keeps the sockets whose
/// endpoint is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Endpoint {
    Udp(Bind),
    Tcp(Bind),
    Admin(Bind),
    UnixStream {
        path: PathBuf,
        mode: u32,
    },
    UnixDatagram {
        path: PathBuf,
        mode: u32,
    },
    /// A socket that was passed in. It replaces all addresses of its kind in the configuration.
    Passed {
        purpose: Purpose,
        is_unix: bool,
    },
}

/// A socket that is bound, but not registered with the poller yet.
#[derive(Debug)]
pub(in crate::server) struct BoundSocket {
    pub(in crate::server) wanted: Endpoint,
    pub(in crate::server) socket: Socket,
    /// The file of a unix socket.
    pub(in crate::server) file: Option<SocketFile>,
}

/// A socket that was passed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct PassedSocket {
    pub(in crate::server) purpose: Purpose,
    /// `None` for a unix socket.
    pub(in crate::server) address: Option<SocketAddr>,
}

/// The difference between the open sockets and those that a configuration wants.
#[derive(Debug)]
pub(in crate::server) struct ListenerChange {
    /// Wanted, but not open.
    pub(in crate::server) missing: Vec<Endpoint>,
    /// Open, but not wanted.
    pub(in crate::server) leaving: Vec<EventSource>,
}

impl Endpoint {
    /// Returns the endpoint of a socket that was passed in.
    pub(in crate::server) fn of_passed(passed: &InheritedSocket) -> Self {
        Self::Passed { purpose: passed.purpose, is_unix: passed.is_unix }
    }

    /// Returns every address that a configuration listens on.
    pub(in crate::server) fn all(config: &Config) -> Vec<Self> {
        let mode = config.unix.mode;
        let udp = config.udp.bind.iter().map(|bind| Self::Udp(*bind));
        let tcp = config.tcp.bind.iter().map(|bind| Self::Tcp(*bind));
        let admin = config.admin.bind.iter().map(|bind| Self::Admin(*bind));
        let stream = config.unix.stream.iter().map(|path| (path.clone(), mode));
        let datagram = config.unix.datagram.iter().map(|path| (path.clone(), mode));
        udp.chain(tcp)
            .chain(admin)
            .chain(stream.map(|(path, mode)| Self::UnixStream { path, mode }))
            .chain(datagram.map(|(path, mode)| Self::UnixDatagram { path, mode }))
            .collect()
    }

    /// Returns the address, or `None` for a unix socket or a socket that was passed in.
    fn bind_address(&self) -> Option<Bind> {
        match self {
            Self::Udp(bind) | Self::Tcp(bind) | Self::Admin(bind) => Some(*bind),
            _ => None,
        }
    }

    /// Returns the path of a unix socket of the configuration.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::UnixStream { path, .. } | Self::UnixDatagram { path, .. } => Some(path),
            _ => None,
        }
    }

    fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    fn purpose(&self) -> Purpose {
        match self {
            Self::Udp(_) | Self::UnixDatagram { .. } => Purpose::Datagrams,
            Self::Tcp(_) | Self::UnixStream { .. } => Purpose::Streams,
            Self::Admin(_) => Purpose::Admin,
            Self::Passed { purpose, .. } => *purpose,
        }
    }

    fn is_unix(&self) -> bool {
        match self {
            Self::Udp(_) | Self::Tcp(_) | Self::Admin(_) => false,
            Self::UnixStream { .. } | Self::UnixDatagram { .. } => true,
            Self::Passed { is_unix, .. } => *is_unix,
        }
    }

    /// Whether a socket that was opened for one of the two serves the other, too. The mode of a
    /// unix socket may differ, because it can be changed while the socket is open.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::UnixStream { path, .. }, Self::UnixStream { path: other, .. })
            | (Self::UnixDatagram { path, .. }, Self::UnixDatagram { path: other, .. }) => {
                is_same_place(path, other)
            }
            _ => self == other,
        }
    }

    /// Whether `other` is a socket that was passed in and replaces this address. A socket passed in
    /// for the admin port replaces `[admin] bind` also if it is a unix socket.
    pub(in crate::server) fn is_replaced_by(&self, other: &Self) -> bool {
        let is_like_it = self.purpose() == Purpose::Admin || self.is_unix() == other.is_unix();
        matches!(other, Self::Passed { .. }) && self.purpose() == other.purpose() && is_like_it
    }

    /// Binds all sockets of this address, or none.
    fn bind(&self) -> Result<Vec<BoundSocket>, BindError> {
        let internet = |transport, address: Bind| {
            let bound = |socket| BoundSocket { wanted: self.clone(), socket, file: None };
            Ok(bind(transport, address)?.into_iter().map(bound).collect())
        };
        let unix = |path: &PathBuf, kind, mode| {
            let (socket, file) = unix::bind(path, kind, mode)
                .map_err(|error| BindError::Unix { path: path.clone(), error })?;
            Ok(vec![BoundSocket { wanted: self.clone(), socket, file: Some(file) }])
        };
        match self {
            Self::Udp(address) => internet(Transport::Udp, *address),
            Self::Tcp(address) | Self::Admin(address) => internet(Transport::Tcp, *address),
            Self::UnixStream { path, mode } => unix(path, Type::STREAM, *mode),
            Self::UnixDatagram { path, mode } => unix(path, Type::DGRAM, *mode),
            Self::Passed { .. } => Ok(Vec::new()),
        }
    }
}

/// Whether two paths of unix sockets lead to the same file, as `/var/run/s` and `/run/s` do.
fn is_same_place(one: &Path, other: &Path) -> bool {
    let real = |path| files::real(path).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// Binds the sockets of all these addresses, or none.
pub(in crate::server) fn bind_all(wanted: &[Endpoint]) -> Result<Vec<BoundSocket>, BindError> {
    let mut all = Vec::new();
    for wanted in wanted {
        all.extend(wanted.bind()?);
    }
    Ok(all)
}

impl Listeners {
    /// Takes over the sockets that were passed in, and binds the other addresses that the
    /// configuration wants.
    pub(in crate::server) fn open(
        config: &Config,
        passed: Vec<InheritedSocket>,
        registry: &Registry,
    ) -> Result<Self, ServerError> {
        let mut listeners = Self::default();
        let passed = passed.into_iter().map(|passed| BoundSocket {
            wanted: Endpoint::of_passed(&passed),
            socket: passed.socket,
            file: None,
        });
        listeners.add(passed.collect(), config, registry).map_err(ServerError::Watch)?;
        let bound = bind_all(&listeners.change(config).missing)?;
        listeners.add(bound, config, registry).map_err(ServerError::Watch)?;
        Ok(listeners)
    }

    /// Returns how the open sockets differ from those that a configuration wants.
    pub(in crate::server) fn change(&self, config: &Config) -> ListenerChange {
        let mut wanted = Endpoint::all(config);
        wanted.retain(|wanted| !self.open.iter().any(|open| wanted.is_replaced_by(&open.wanted)));
        let is_open = |wanted: &Endpoint| self.open.iter().any(|open| open.wanted.is_like(wanted));
        let leaves = |open: &&OpenSocket| {
            !matches!(open.wanted, Endpoint::Passed { .. })
                && !wanted.iter().any(|wanted| wanted.is_like(&open.wanted))
        };
        let leaving = self.open.iter().filter(leaves).map(|open| open.source).collect();
        let missing = wanted.iter().filter(|wanted| !is_open(wanted)).cloned().collect();
        ListenerChange { missing, leaving }
    }

    /// Returns the leaving sockets that hold one of these addresses, and all others that were
    /// opened for the same addresses of the configuration as these.
    pub(in crate::server) fn in_the_way(
        &self,
        wanted: &[Endpoint],
        leaving: &[EventSource],
    ) -> Vec<EventSource> {
        let holds = |open: &&OpenSocket| {
            // The kernel has chosen the port if the configuration has 0.
            let address = self.address(open.source).and_then(|address| address.as_socket());
            let bind = open.wanted.bind_address().zip(address);
            let bind = bind.map(|(bind, address)| bind.with_port(address.port()));
            let is_held = |wanted: &Endpoint| {
                let paths = wanted.path().zip(open.wanted.path());
                let has_its_path = paths.is_some_and(|(one, other)| is_same_place(one, other));
                let has_its_port = wanted.is_udp() == open.wanted.is_udp()
                    && bind
                        .zip(wanted.bind_address())
                        .is_some_and(|(one, other)| one.overlaps(other));
                has_its_path || has_its_port
            };
            leaving.contains(&open.source) && wanted.iter().any(is_held)
        };
        let holders: Vec<_> = self.open.iter().filter(holds).map(|open| &open.wanted).collect();
        let its = self.open.iter().filter(|open| holders.contains(&&open.wanted));
        its.map(|open| open.source).collect()
    }

    fn address(&self, source: EventSource) -> Option<SockAddr> {
        let address = match source {
            EventSource::Datagrams(index) => self.datagrams.get(index.into())?.address(),
            EventSource::Listener(index) => self.streams.get(index.into())?.address(),
            EventSource::AdminListener(index) => self.admin.get(index.into())?.address(),
            _ => return None,
        };
        address.ok()
    }

    /// Returns the addresses that these sockets were opened for, each once.
    pub(in crate::server) fn wanted_by(&self, sources: &[EventSource]) -> Vec<Endpoint> {
        let mut all: Vec<Endpoint> = Vec::new();
        for open in self.open.iter().filter(|open| sources.contains(&open.source)) {
            if !all.contains(&open.wanted) {
                all.push(open.wanted.clone());
            }
        }
        all
    }

    /// Sets the mode of the files of unix sockets that have another one.
    pub(in crate::server) fn set_modes(&mut self, wanted: u32) {
        for OpenSocket { wanted: open, file, .. } in &mut self.open {
            let (Endpoint::UnixStream { mode, .. } | Endpoint::UnixDatagram { mode, .. }) = open
            else {
                continue;
            };
            if *mode != wanted
                && let Some(Err(error)) = file.as_ref().map(|file| file.set_mode(wanted))
            {
                log::error!(
                    "unix.mode" = "unchanged",
                    reason:% = error,
                    hint = "the socket keeps its old mode; restart the server to apply [unix] mode";
                    "the mode of a unix socket could not be changed"
                );
                continue;
            }
            *mode = wanted;
        }
    }

    /// Requests a receive buffer of this size for those of the `sources` that are UDP sockets.
    pub(in crate::server) fn set_receive_buffers(&self, sources: &[EventSource], asked: usize) {
        for source in sources {
            if let EventSource::Datagrams(index) = *source
                && let Some(socket) = self.datagrams.get(index.into())
                && socket.queue_limit().is_none()
            {
                set_receive_buffer(socket, asked);
            }
        }
    }

    /// Registers bound sockets with the poller. If that fails for one of them, all of them are
    /// closed.
    pub(in crate::server) fn add(
        &mut self,
        bound: Vec<BoundSocket>,
        config: &Config,
        registry: &Registry,
    ) -> io::Result<()> {
        let before = self.open.len();
        self.register(bound, config, registry).inspect_err(|_| {
            let added: Vec<_> = self.open[before..].iter().map(|open| open.source).collect();
            self.close(&added);
        })
    }

    fn register(
        &mut self,
        bound: Vec<BoundSocket>,
        config: &Config,
        registry: &Registry,
    ) -> io::Result<()> {
        for BoundSocket { wanted, socket, file } in bound {
            let source = match wanted.purpose() {
                Purpose::Datagrams => {
                    let source = EventSource::Datagrams(index(self.datagrams.vacant_key())?);
                    let socket = DatagramSocket::new(socket);
                    socket.register(registry, source.into())?;
                    match socket.queue_limit() {
                        Some(limit) => warn_of_short_queue(&socket, limit),
                        None => set_receive_buffer(&socket, config.udp.recv_buffer),
                    }
                    self.datagrams.insert(socket);
                    source
                }
                Purpose::Streams => {
                    listen(&mut self.streams, socket, registry, EventSource::Listener)?
                }
                Purpose::Admin => {
                    listen(&mut self.admin, socket, registry, EventSource::AdminListener)?
                }
            };
            self.open.push(OpenSocket { source, wanted, file });
        }
        Ok(())
    }

    /// Closes these sockets. What was not read from them is lost.
    pub(in crate::server) fn close(&mut self, sources: &[EventSource]) {
        for source in sources {
            match *source {
                EventSource::Datagrams(index) => _ = self.datagrams.try_remove(index.into()),
                EventSource::Listener(index) => _ = self.streams.try_remove(index.into()),
                EventSource::AdminListener(index) => _ = self.admin.try_remove(index.into()),
                _ => {}
            }
        }
        self.open.retain(|open| !sources.contains(&open.source));
    }

    /// The sockets that close with this process. Those that were passed in stay open for the next
    /// one, with all data that arrives until then.
    pub(in crate::server) fn ours(&self) -> Vec<EventSource> {
        let ours = |open: &&OpenSocket| !matches!(open.wanted, Endpoint::Passed { .. });
        self.open.iter().filter(ours).map(|open| open.source).collect()
    }

    /// Returns the purpose of each socket that was passed in, and its address.
    pub(in crate::server) fn passed(&self) -> Vec<PassedSocket> {
        let passed = self.open.iter().filter_map(|open| {
            let Endpoint::Passed { purpose, .. } = open.wanted else { return None };
            let address = self.address(open.source).and_then(|address| address.as_socket());
            Some(PassedSocket { purpose, address })
        });
        passed.collect()
    }

    pub(in crate::server) fn all(&self) -> Vec<EventSource> {
        self.open.iter().map(|open| open.source).collect()
    }

    /// Gives the files of unix sockets to the user and group that this process is about to become.
    pub(in crate::server) fn give_files_to(&self, owner: FileOwner) -> Result<(), BindError> {
        if owner == FileOwner::default() {
            return Ok(());
        }
        let failed =
            |file: &SocketFile, error| BindError::Unix { path: file.path().to_owned(), error };
        let mut files = self.open.iter().filter_map(|open| open.file.as_ref());
        files.try_for_each(|file| file.give_to(owner).map_err(|error| failed(file, error)))
    }

    /// Returns the address of the page: that of the first listener of the admin port.
    pub(in crate::server) fn page_address(&self) -> Option<String> {
        self.admin.iter().find_map(|(_, listener)| {
            let address = listener.address().ok()?.as_socket()?;
            Some(page_address(address, listener.is_only_v6()))
        })
    }

    /// Returns the line that reports where the server listens: `ready udp=… tcp=… admin=…`, and
    /// `unix=…` if there are unix sockets. Addresses are separated by commas.
    pub(in crate::server) fn ready_line(&self) -> String {
        let datagrams = || self.datagrams.iter().map(|(_, socket)| socket.address());
        let streams = || self.streams.iter().map(|(_, listener)| listener.address());
        let admin = self.admin.iter().map(|(_, listener)| listener.address());
        let is_unix =
            |address: &io::Result<SockAddr>| address.as_ref().is_ok_and(SockAddr::is_unix);
        let unix: Vec<String> = streams()
            .chain(datagrams())
            .filter(is_unix)
            .flatten()
            .map(|address| shown(&address))
            .collect();
        let unix =
            if unix.is_empty() { String::new() } else { format!(" unix={}", unix.join(",")) };
        format!(
            "ready udp={} tcp={} admin={}{unix}",
            list(datagrams().filter(|address| !is_unix(address))),
            list(streams().filter(|address| !is_unix(address))),
            list(admin),
        )
    }
}

/// Returns the address under which a browser on this machine finds a listener.
fn page_address(listener: SocketAddr, is_only_v6: bool) -> String {
    let host = match listener.ip() {
        ip if !ip.is_unspecified() => ip,
        _ if is_only_v6 => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    format!("http://{}/", SocketAddr::new(host, listener.port()))
}

/// Registers a listening socket with the poller, as the `source` of its index, and adds it.
fn listen(
    listeners: &mut Slab<Listener>,
    socket: Socket,
    registry: &Registry,
    source: fn(u16) -> EventSource,
) -> io::Result<EventSource> {
    let source = source(index(listeners.vacant_key())?);
    let listener = Listener::new(socket);
    listener.register(registry, source.into())?;
    listeners.insert(listener);
    Ok(source)
}

/// Returns the index of a socket as its token carries it. Fails if it is too large: a configuration
/// has at most a few hundred addresses, but the parent process may pass in any number of sockets.
fn index(key: usize) -> io::Result<u16> {
    u16::try_from(key).map_err(|_| io::Error::other("there are more than 65536 sockets"))
}

/// Logs a warning if the kernel queues few datagrams for a unix socket, with the limit of the
/// kernel that the operator can raise.
fn warn_of_short_queue(socket: &DatagramSocket, limit: u32) {
    if limit < SHORT_QUEUE {
        log::warn!(
            queue_datagrams = limit,
            unix = list(std::iter::once(socket.address())),
            hint = "a client that does not wait loses datagrams while the queue is full; set \
                net.unix.max_dgram_qlen=512 (sysctl) and restart the server; a container has \
                a limit of its own";
            "the kernel's queue of the unix datagram socket is short"
        );
    }
}

/// Requests the receive buffer that is configured for a UDP socket. A smaller one loses datagrams
/// in a burst. The operator can raise the kernel's limit, so a warning shows how.
fn set_receive_buffer(socket: &DatagramSocket, asked: usize) {
    let address = list(std::iter::once(socket.address()));
    match socket.request_buffer(asked) {
        Ok(granted) if granted < asked => log::warn!(
            recv_buffer = granted,
            asked,
            udp = address,
            hint:% = format_args!("raise the limit (sysctl -w net.core.rmem_max={asked}), or lower [udp] recv_buffer");
            "the kernel granted a smaller receive buffer than configured"
        ),
        Ok(_) => {}
        Err(error) => log::warn!(
            recv_buffer = "unchanged",
            udp = address,
            reason:% = error,
            hint = "the server uses the kernel's default; check [udp] recv_buffer";
            "the receive buffer could not be set"
        ),
    }
}

fn list(addresses: impl Iterator<Item = io::Result<SockAddr>>) -> String {
    let all: Vec<String> = addresses.flatten().map(|address| shown(&address)).collect();
    if all.is_empty() { "off".to_owned() } else { all.join(",") }
}

/// Returns an address as people write it.
fn shown(address: &SockAddr) -> String {
    let path = || address.as_pathname().map(|path| path.display().to_string());
    let internet = address.as_socket().map(|address| address.to_string());
    internet.or_else(path).unwrap_or_else(|| "unnamed".to_owned())
}
