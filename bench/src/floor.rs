//! The floor: the cost of receiving alone. It reads as servers do, counts newlines, and does
//! nothing else.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::clock::{Clock, beside};
use crate::sys::Received;

/// Receives on these ports until the process is ended. After a batch that was not full it sleeps
/// for `nap`.
pub fn run(udp: u16, tcp: u16, nap: Duration) -> io::Result<()> {
    let packets = UdpSocket::bind((Ipv4Addr::LOCALHOST, udp))?;
    let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, tcp))?;
    beside(move || {
        // One connection at a time, as the bench makes them.
        streams.incoming().flatten().map(read_to_end).sum::<usize>()
    });
    let mut received = Received::new();
    let mut lines = 0_usize;
    loop {
        let count = received.fill(packets.as_fd())?;
        for datagram in received.datagrams(count) {
            lines = lines.wrapping_add(memchr::memchr_iter(b'\n', datagram).count());
        }
        std::hint::black_box(lines);
        if count < crate::sys::BATCH && !nap.is_zero() {
            Clock::sleep(nap);
        }
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
