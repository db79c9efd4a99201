//! The floor: the cost of receiving alone. It reads as servers do, counts newlines, and does
//! nothing else.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;

use nix::sys::socket::MultiHeaders;

use crate::sys::{self, BATCH};

/// The largest datagram received whole.
const DATAGRAM: usize = 64 << 10;

/// Receives on these ports and this Unix socket until the process is ended.
pub fn run(udp: u16, tcp: u16, unix: Option<&Path>) -> io::Result<()> {
    let packets = UdpSocket::bind((Ipv4Addr::LOCALHOST, udp))?;
    let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, tcp))?;
    if let Some(path) = unix {
        let packets = UnixDatagram::bind(path)?;
        thread::spawn(move || datagrams(&packets));
    }
    // One connection at a time, as the bench makes them.
    thread::spawn(move || streams.incoming().flatten().map(read_to_end).sum::<usize>());
    datagrams(&packets)
}

fn datagrams(socket: &impl AsFd) -> io::Result<()> {
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let mut rooms = vec![vec![0; DATAGRAM]; BATCH];
    let mut all = 0_usize;
    loop {
        let lines = sys::receive(socket, &mut headers, &mut rooms)?;
        all = std::hint::black_box(all.wrapping_add(lines));
    }
}

fn read_to_end(mut stream: impl Read) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let mut lines = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        lines += memchr::memchr_iter(b'\n', &buffer[..count]).count();
    }
    lines
}
