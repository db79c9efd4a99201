//! Everything the server listens on, bound and registered at once.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use mio::{Registry, Token};

use super::token::Source;
use crate::config::{Bind, Config};
use crate::ingest::bind::{BindError, Transport, bind};
use crate::ingest::listener::Listener;
use crate::ingest::udp::UdpListener;
use crate::sys;

/// The sockets that are there from the ready line to the stop.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) udp: Vec<UdpListener>,
    pub(super) tcp: Vec<Listener>,
    pub(super) admin: Vec<Listener>,
}

/// Why the server cannot start.
#[derive(Debug)]
pub enum StartError {
    Bind(BindError),
    Poll(io::Error),
    /// The folder of a sink's spool.
    Spool(PathBuf, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(out),
            Self::Spool(path, error) => write!(
                out,
                "cannot use the spool {}: {error}; [spool] dir must be a folder that this user may write to, and no other server's",
                path.display()
            ),
            Self::Poll(error) => {
                write!(
                    out,
                    "cannot set up the event loop: {error}; is the limit of open files too low?"
                )
            }
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Poll(error)
    }
}

impl Listeners {
    pub(super) fn open(config: &Config, registry: &Registry) -> Result<Self, StartError> {
        check_open_files(config);
        let mut udp = sockets(Transport::Udp, &config.udp.bind, UdpListener::new)?;
        let mut tcp = sockets(Transport::Tcp, &config.tcp.bind, Listener::new)?;
        let mut admin = sockets(Transport::Tcp, &config.admin.bind, Listener::new)?;
        for (listener, token) in udp.iter_mut().zip(tokens(Source::Udp)) {
            listener.register(registry, token)?;
            check_buffer(listener, config.udp.recv_buffer);
        }
        for (listener, token) in tcp.iter_mut().zip(tokens(Source::TcpListener)) {
            listener.register(registry, token)?;
        }
        for (listener, token) in admin.iter_mut().zip(tokens(Source::AdminListener)) {
            listener.register(registry, token)?;
        }
        Ok(Self { udp, tcp, admin })
    }

    /// The line that says where the server listens: `udp=… tcp=… admin=…`, addresses separated by commas.
    pub(super) fn ready_line(&self) -> String {
        format!(
            "ready udp={} tcp={} admin={}",
            list(self.udp.iter().map(UdpListener::address)),
            list(self.tcp.iter().map(Listener::address)),
            list(self.admin.iter().map(Listener::address)),
        )
    }
}

fn tokens(source: fn(u16) -> Source) -> impl Iterator<Item = Token> {
    (0..u16::MAX).map(move |index| source(index).into())
}

fn sockets<T>(
    transport: Transport,
    binds: &[Bind],
    make: fn(socket2::Socket) -> T,
) -> Result<Vec<T>, BindError> {
    let mut all = Vec::new();
    for address in binds {
        all.extend(bind(transport, *address)?.into_iter().map(make));
    }
    Ok(all)
}

/// Clients may not take the descriptors that sinks and look-ups need.
fn check_open_files(config: &Config) {
    const OURS: usize = 64; // listeners, sinks, look-ups, standard streams
    let needed = config.tcp.max_connections + config.admin.max_connections + OURS;
    match sys::raise_open_files() {
        Ok(limit) if limit < needed as u64 => log::warn!(
            "open_files={limit} needed={needed} hint=\"lower max_connections, or raise the limit (ulimit -n, LimitNOFILE=)\""
        ),
        Ok(_) => {}
        Err(error) => log::warn!("open_files=unchanged reason=\"{error}\""),
    }
}

/// A buffer smaller than asked for loses datagrams in a burst: the one who runs the server can mend that, so say it.
fn check_buffer(listener: &UdpListener, asked: usize) {
    let address = list(std::iter::once(listener.address()));
    match listener.ask_buffer(asked) {
        Ok(granted) if granted < asked => log::warn!(
            "udp={address} recv_buffer={granted} asked={asked} hint=\"raise it: sysctl -w net.core.rmem_max={asked}\""
        ),
        Ok(_) => {}
        Err(error) => log::warn!("udp={address} recv_buffer=unchanged reason=\"{error}\""),
    }
}

fn list(addresses: impl Iterator<Item = io::Result<SocketAddr>>) -> String {
    let all: Vec<String> = addresses.flatten().map(|address| address.to_string()).collect();
    if all.is_empty() { "off".to_owned() } else { all.join(",") }
}
