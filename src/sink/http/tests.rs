//! Requests over real sockets, answered by the tests. They check the effect of each answer, and
//! of a missing answer.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::config::{Destination, Resend};
use crate::sink::testing::{
    Client, Rig, feed, influxdb, influxdb_with, listener, logged, with_resend,
};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.6.7\r\n\r\n";
const LINE: &str = "a value=1 1\n";

fn rig(listener: &TcpListener) -> Rig {
    rig_with(&influxdb(listener.local_addr().unwrap()))
}

fn rig_with(to: &Destination) -> Rig {
    Rig::new(to)
}

impl Rig {
    /// Waits for a request with just these lines, which is the `nth` of the connection, and answers
    /// it.
    fn answer(&mut self, client: &mut Client, lines: &str, answer: &str) {
        self.until_asked(client, lines);
        client.stream.write_all(answer.as_bytes()).unwrap();
    }

    fn until_asked(&mut self, client: &mut Client, lines: &str) {
        client.received.clear();
        self.until_text(client, &format!("Content-Length: {}\r\n\r\n{lines}", lines.len()));
        assert!(client.received.starts_with("POST /write?db=statsd HTTP/1.1\r\n"));
    }

    fn until_drained(&mut self) {
        self.until("the acknowledgement", |sink| sink.is_drained());
    }
}

#[test]
fn one_request_at_a_time_and_its_204_is_the_acknowledgement() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush(LINE);
    rig.flush("b value=1 2\n");
    let mut client = rig.accept(&listener);
    rig.until_asked(&mut client, LINE);
    for _ in 0..20 {
        rig.turn();
    }
    client.read().unwrap();
    assert!(client.received.ends_with(LINE), "the second waits for the answer to the first");
    assert!(!rig.sink.is_drained());
    let (first, second) = NO_CONTENT.split_at(20);
    client.stream.write_all(first.as_bytes()).unwrap();
    rig.turn();
    assert!(rig.sink.figures().last_flush.is_none());
    rig.answer_rest(&mut client, second);
    rig.answer(&mut client, "b value=1 2\n", NO_CONTENT);
    rig.until_drained();
    let figures = rig.sink.figures();
    assert_eq!((figures.reconnects, figures.dropped_lines, figures.sent_bytes), (0, 0, 24));
    assert_eq!(rig.sink.deadline(), None, "an idle connection wakes nobody");
}

impl Rig {
    fn answer_rest(&mut self, client: &mut Client, rest: &str) {
        client.stream.write_all(rest.as_bytes()).unwrap();
        self.until("the first to arrive", |sink| sink.figures().last_flush.is_some());
    }
}

#[test]
fn refused_chunks_are_dropped_counted_and_logged_once_a_minute() {
    let listener = listener();
    let mut rig = rig(&listener);
    logged();
    let mut client = rig.accept(&listener);
    for (answer, dropped) in [
        ("HTTP/1.1 400 Bad Request\r\nX-Influxdb-Error: no\r\nContent-Length: 2\r\n\r\n{}", 1),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}", 2),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 3),
        ("HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 0\r\n\r\n", 4),
    ] {
        rig.flush(LINE);
        rig.answer(&mut client, LINE, answer);
        rig.until("the drop", |sink| sink.figures().dropped_lines == dropped);
    }
    rig.flush(LINE);
    rig.answer(&mut client, LINE, NO_CONTENT);
    rig.until_drained();
    let shown: Vec<_> =
        logged().into_iter().filter(|(_, line)| line.contains("dropped_lines=1 ")).collect();
    assert_eq!(shown.len(), 3, "one for each status: {shown:?}");
    assert!(shown[0].1.contains("answer=\"400 Bad Request: no\""), "{shown:?}");
    assert!(shown[1].1.contains("answer=\"413 Too Large\""), "{shown:?}");
    assert_eq!(rig.sink.figures().reconnects, 0);
}

#[test]
fn an_error_that_may_pass_is_logged_and_the_chunk_is_kept() {
    for answer in [
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\ntimeout",
        "HTTP/1.1 401 Unauthorized\r\nX-Influxdb-Error: who are you\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin",
        "no HTTP at all\r\n\r\n",
    ] {
        let listener = listener();
        let mut rig = rig(&listener);
        rig.flush(LINE);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let mut client = rig.accept(&listener);
            rig.answer(&mut client, LINE, answer);
            rig.until_state("backing_off");
            waits.push(rig.advance_to_deadline());
        }
        assert!(waits[3] >= Duration::from_millis(800), "{answer}: {waits:?}");
        let mut client = rig.accept(&listener);
        rig.answer(&mut client, LINE, NO_CONTENT);
        rig.until_drained();
        let figures = rig.sink.figures();
        assert_eq!((figures.dropped_lines, figures.in_doubt, figures.resent_lines), (0, 0, 4));
        let error = figures.last_error.unwrap();
        let status = answer.split(' ').nth(1).unwrap();
        assert!(error.starts_with(status) || error.contains("no HTTP"), "{error}");
    }
}

#[test]
fn each_new_reason_of_an_outage_is_logged_once() {
    let listener = listener();
    let mut rig = rig(&listener);
    logged();
    rig.flush(LINE);
    drop(rig.accept(&listener));
    rig.until_state("backing_off");
    for status in ["404 Not Found", "404 Not Found", "401 Unauthorized", "401 Unauthorized"] {
        rig.advance_to_deadline();
        let mut client = rig.accept(&listener);
        rig.answer(&mut client, LINE, &format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        rig.until_state("backing_off");
    }
    let warnings: Vec<_> =
        logged().into_iter().filter(|(level, _)| *level == log::Level::Warn).collect();
    let reasons = ["closed by the peer", "404 Not Found", "401 Unauthorized"];
    assert_eq!(warnings.len(), reasons.len(), "{warnings:?}");
    for ((_, line), reason) in warnings.iter().zip(reasons) {
        assert!(line.contains(&format!("error=\"{reason}\"")), "{line}");
    }
}

#[test]
fn silence_is_broken_off_after_write_timeout() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.until_asked(&mut client, LINE);
    assert_eq!(rig.advance_to_deadline(), Duration::from_secs(30));
    rig.until_state("backing_off");
    assert_eq!(rig.sink.figures().last_error.unwrap(), "no answer");
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, NO_CONTENT);
    rig.until_drained();
}

#[test]
fn an_answer_in_pieces_is_waited_for_as_long_as_one_in_one_piece() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.until_asked(&mut client, LINE);
    for byte in NO_CONTENT.as_bytes() {
        client.stream.write_all(&[*byte]).unwrap();
        rig.advance(Duration::from_millis(500));
        rig.turn();
    }
    rig.until_drained();
    assert_eq!(rig.sink.figures().reconnects, 0);
}

/// Writes `piece` repeatedly, ten seconds apart, until the link gives up. Returns how many seconds
/// that took.
fn seconds_of_dripping(start: &str, piece: &str) -> (u64, String) {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.until_asked(&mut client, LINE);
    client.stream.write_all(start.as_bytes()).unwrap();
    let asked = rig.now.tick;
    for _ in 0..20 {
        let _ = client.stream.write_all(piece.as_bytes()); // the server may have closed it
        rig.turn();
        rig.turn();
        if rig.sink.figures().state == "backing_off" {
            break;
        }
        rig.advance(Duration::from_secs(10));
    }
    assert_eq!(rig.sink.figures().state, "backing_off", "{piece:?} prevents the timeout");
    assert!(!rig.sink.is_drained(), "the chunk is sent again");
    ((rig.now.tick - asked).as_secs(), rig.sink.figures().last_error.unwrap())
}

#[test]
fn an_answer_that_drips_ends_with_write_timeout() {
    for (start, piece) in [
        ("HTTP/1.1 204 No Content\r\nX: ", "x"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 9999\r\n\r\n", "x"),
    ] {
        let (seconds, error) = seconds_of_dripping(start, piece);
        assert!(seconds <= 30, "{piece:?}: {seconds} s");
        let expected =
            if start.is_empty() { "no answer" } else { "the server sends its answer too slowly" };
        assert_eq!(error, expected, "{piece:?}");
    }
}

#[test]
fn a_server_that_reads_a_request_byte_by_byte_times_out() {
    let listener = listener();
    let mut rig = rig(&listener);
    let text = LINE.repeat(1_000_000); // more than the buffers of both ends hold
    rig.flush(&text);
    let mut client = rig.accept(&listener);
    rig.until("a part to be written", |sink| sink.figures().sent_bytes > 0);
    let began = rig.now.tick;
    for _ in 0..20 {
        rig.advance(Duration::from_secs(10));
        let mut some = vec![0; 200_000];
        let _ = client.stream.read(&mut some); // so that the kernel takes a little more
        rig.turn();
        if rig.sink.figures().state == "backing_off" {
            break;
        }
    }
    assert_eq!(rig.now.tick - began, Duration::from_secs(30));
    assert_eq!(rig.sink.figures().last_error.unwrap(), "the server reads the request too slowly");
    assert_eq!(rig.sink.figures().dropped_lines, 0);
}

#[test]
fn a_server_that_closes_after_each_answer_is_no_outage() {
    let listener = listener();
    let mut rig = rig(&listener);
    logged();
    for (nth, close) in ["Connection: close\r\n", ""].into_iter().cycle().take(6).enumerate() {
        rig.flush(LINE);
        let mut client = rig.accept(&listener);
        rig.answer(&mut client, LINE, &format!("HTTP/1.1 204 No Content\r\n{close}\r\n"));
        rig.until_drained();
        drop(client);
        rig.until_state("idle");
        assert_eq!(rig.sink.deadline(), None);
        assert_eq!(rig.sink.figures().reconnects, nth as u64);
    }
    assert_eq!(rig.sink.figures().resent_lines, 0);
    assert!(logged().iter().all(|(level, _)| *level >= log::Level::Info), "no warning");
}

#[test]
fn a_connection_that_died_while_idle_costs_nothing_and_no_wait() {
    let listener = listener();
    let mut rig = rig(&listener);
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, NO_CONTENT);
    rig.until_drained();
    client.reset();
    rig.flush("b value=1 2\n");
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, "b value=1 2\n", NO_CONTENT);
    rig.until_drained();
    let figures = rig.sink.figures();
    assert_eq!((figures.last_error, figures.dropped_lines, figures.in_doubt), (None, 0, 0));
}

#[test]
fn an_early_refusal_is_read() {
    let listener = listener();
    let mut rig = rig(&listener);
    let text = LINE.repeat(1_000_000); // more than the buffers of both ends hold
    rig.flush(&text);
    let mut client = rig.accept(&listener);
    let answer = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    rig.until("a part to be written", |sink| sink.figures().sent_bytes > 0);
    client.stream.write_all(answer.as_bytes()).unwrap();
    rig.until("the drop", |sink| sink.figures().dropped_lines == 1_000_000);
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, NO_CONTENT);
    rig.until_drained();
}

#[test]
fn a_resend_of_whole_flushes_is_for_breaks_alone() {
    let listener = listener();
    let config = influxdb(listener.local_addr().unwrap());
    let mut rig = rig_with(&with_resend(Resend::Flush, config));
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    rig.until_drained();
    rig.flush("b value=1 2\n");
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, "b value=1 2\n", "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
    rig.until_state("backing_off");
    rig.advance_to_deadline();
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, NO_CONTENT);
    rig.answer(&mut client, "b value=1 2\n", NO_CONTENT);
    rig.until_drained();
    assert_eq!(rig.sink.figures().resent_lines, 2);
}

#[test]
fn another_account_is_used_at_once() {
    let listener = listener();
    let config = influxdb(listener.local_addr().unwrap());
    let mut rig = rig_with(&config);
    let _client = rig.accept(&listener);
    rig.until_state("up");
    let other = influxdb_with(listener.local_addr().unwrap(), |influxdb| {
        influxdb.username = "u".into();
        influxdb.password.given = "p".into();
    });
    logged();
    rig.sink.reconfigure(&other, feed(), rig.now);
    let lines = logged();
    let closed = lines.iter().find(|(_, line)| line.contains("closed for a reload")).unwrap();
    assert!(closed.1.contains("error=\"its database or account was changed\""), "{closed:?}");
    rig.flush(LINE);
    let mut client = rig.accept(&listener);
    rig.answer(&mut client, LINE, NO_CONTENT);
    assert!(client.received.contains("\r\nAuthorization: Basic dTpw\r\n"));
    rig.until_drained();
}
