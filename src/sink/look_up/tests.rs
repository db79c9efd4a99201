//! Name look-ups in a child, and the ways a child can fail.

use std::net::TcpListener;
use std::os::fd::AsRawFd;

use mio::{Events, Poll};

use super::*;
use crate::sink::testing::{patiently, shell};

fn start(script: &str, poll: &Poll) -> Query {
    Query::start(shell(script), poll.registry(), Token(7)).unwrap()
}

/// Polls until the query's answer is complete.
fn finished(query: &mut Query, poll: &mut Poll) -> Result<Vec<SocketAddr>, LookUpError> {
    let mut events = Events::with_capacity(8);
    patiently("the end of the answer", || {
        poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
        assert!(events.iter().all(|event| event.token() == Token(7)));
        query.read().map(|ended| ended.then_some(())).transpose()
    })?;
    query.addresses()
}

#[test]
fn the_child_answers_with_one_address_a_line() {
    let mut poll = Poll::new().unwrap();
    let mut query = start("echo 127.0.0.1:2003; sleep 0.02; echo '[fe80::1%3]:2003'", &poll);
    let addresses = finished(&mut query, &mut poll).unwrap();
    assert_eq!(addresses, ["127.0.0.1:2003".parse().unwrap(), "[fe80::1%3]:2003".parse().unwrap()]);
}

#[test]
fn an_answer_without_addresses_is_an_error_with_its_reason() {
    for (script, reason) in [
        ("echo 'error: no such host'", "no such host"),
        ("true", "the look-up ended without an answer"),
        ("kill -9 $$", "the look-up ended without an answer"),
        ("echo what", "invalid socket address syntax"),
        ("printf '\\377'", "invalid utf-8 sequence of 1 bytes from index 0"),
        ("yes", "the look-up answers without end"),
    ] {
        let mut poll = Poll::new().unwrap();
        let mut query = start(script, &poll);
        assert_eq!(finished(&mut query, &mut poll).unwrap_err().to_string(), reason, "{script}");
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let poll = Poll::new().unwrap();
    let error = Query::start(Command::new("/nowhere/at/all"), poll.registry(), Token(7));
    let LookUpError::Io(error) = error.unwrap_err() else { panic!("another error") };
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_child_that_hangs_is_killed_and_reaped_without_waiting() {
    let poll = Poll::new().unwrap();
    let mut query = start("exec sleep 1000", &poll);
    let id = query.process.0.id();
    assert!(!query.read().unwrap());
    let mut now = Tick::from_millis(5);
    let mut unreaped = query.end(now);
    patiently("the child's end", || {
        now = now.max(unreaped.deadline());
        unreaped.is_reaped(now).then_some(())
    });
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "not even a zombie is left");
}

#[test]
fn an_unreaped_child_is_polled_less_and_less_often() {
    let poll = Poll::new().unwrap();
    let mut unreaped = start("exec sleep 1000", &poll).end(Tick::default());
    unreaped.process = Process(shell("exec sleep 1000").spawn().unwrap()); // one that is not killed
    let mut waits = Vec::new();
    for _ in 0..12 {
        let now = unreaped.deadline();
        assert!(!unreaped.is_reaped(now));
        assert!(!unreaped.is_reaped(now), "too early to ask again, and harmless");
        waits.push((unreaped.deadline() - now).as_millis());
    }
    assert_eq!(waits[..3], [10, 20, 40]);
    assert_eq!(waits[10..], [10_000, 10_000]);
}

#[test]
fn no_descriptor_of_ours_reaches_the_child() {
    let mut poll = Poll::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
    let list = "for fd in /proc/$$/fd/*; do readlink $fd; done";
    let count = format!("grep -cF -e eventpoll -e '{}'", ours.display());
    let mut query = start(&format!("echo 127.0.0.1:$({list} | {count})"), &poll);
    let addresses = finished(&mut query, &mut poll).unwrap();
    assert_eq!(addresses[0].port(), 0, "neither the poller nor a listener");
}

#[test]
fn localhost_is_looked_up_and_nonsense_is_not_found() {
    let answer = look_up("localhost", 2003).unwrap();
    let addresses = parse(answer.as_bytes()).unwrap();
    assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 2003));
    assert!(look_up("host.invalid", 2003).is_err());
}
