//! The records against a ledger that counts for them.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::ledger::{Ledger, OwnCounter};

fn host(number: u32, port: u16) -> Sender {
    let address = Ipv4Addr::from(0x0a00_0000 + number);
    Sender::Internet(SocketAddr::from((address, port)))
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// Enters a datagram of a sender.
fn packet(ledger: &mut Ledger, sender: Sender, lines: u64) {
    ledger.set_sender(sender);
    ledger.count(OwnCounter::PacketsReceived, 1);
    ledger.count(OwnCounter::MetricsReceived, lines);
    ledger.count_bytes(usize::try_from(lines).unwrap() * 10);
}

fn all(senders: &Senders) -> Vec<&SenderRecord> {
    senders.largest(usize::MAX, |record| record.lines)
}

/// The sum of all records and of the others.
fn sum(senders: &Senders) -> OtherSenders {
    let mut sum = senders.others();
    all(senders).into_iter().for_each(|record| sum.add_sender(record));
    sum
}

#[test]
fn each_sender_has_what_it_has_sent() {
    let mut ledger = Ledger::default();
    ledger.set_now(at(100));
    packet(&mut ledger, host(1, 1000), 3);
    packet(&mut ledger, host(1, 1001), 4);
    packet(&mut ledger, host(2, 1000), 5);
    ledger.bad_line(Reject::NoValue, b"x");
    ledger.count(OwnCounter::SamplesDropped, 1);
    ledger.count(OwnCounter::SeriesRejected, 2);
    ledger.set_series_created(6);
    ledger.set_now(at(200));
    let mapped = Sender::Internet("[::ffff:10.0.0.1]:7".parse().unwrap());
    packet(&mut ledger, mapped, 1);
    let process = Sender::UnixProcess { process: 77, user: 1000 };
    packet(&mut ledger, process, 2);
    packet(&mut ledger, Sender::UnixProcess { process: 77, user: 1001 }, 2);
    ledger.bad_line(Reject::BadRate, b"y");
    // The tick of a flush moves the counts, and loses none.
    ledger.tick();
    packet(&mut ledger, process, 2);

    let senders = ledger.count_senders();
    let shown: Vec<_> = senders
        .largest(9, |record| record.lines)
        .iter()
        .map(|record| {
            let times = (record.first_seen.as_secs(), record.last_seen.as_secs());
            (record.sender, record.packets, record.lines, record.bytes, times)
        })
        .collect();
    assert_eq!(
        shown,
        [
            (host(1, 0), 3, 8, 80, (100, 200)),
            (host(2, 0), 1, 5, 50, (100, 100)),
            (process, 2, 4, 40, (200, 200)),
            (Sender::UnixProcess { process: 77, user: 1001 }, 1, 2, 20, (200, 200)),
        ]
    );
    let second = all(senders).into_iter().find(|record| record.sender == host(2, 0)).unwrap();
    assert_eq!((second.bad_lines, second.commonest_reason), (1, Some(Reject::NoValue)));
    assert_eq!((second.values_refused, second.series_created), (3, 6));
    let bad: Vec<_> = ledger.bad_lines().last(20).map(|bad| (bad.sender, bad.time)).collect();
    let other = Sender::UnixProcess { process: 77, user: 1001 };
    assert_eq!(bad, [(host(2, 1000), at(100)), (other, at(200))]);
}

#[test]
fn the_commonest_reason_is_the_one_with_most_lines() {
    let mut ledger = Ledger::default();
    ledger.set_sender(host(1, 1));
    for (reject, commonest) in [
        (Reject::NoType, Reject::NoType),
        (Reject::BadValue, Reject::NoType),
        (Reject::BadValue, Reject::BadValue),
        (Reject::NoType, Reject::BadValue),
        (Reject::NoType, Reject::NoType),
        (Reject::NotFinite, Reject::NoType),
    ] {
        ledger.bad_line(reject, b"");
        let record = all(ledger.count_senders()).into_iter().next().unwrap();
        assert_eq!(record.commonest_reason, Some(commonest));
    }
}

#[test]
fn peers_that_send_no_lines_have_no_record() {
    let mut ledger = Ledger::default();
    packet(&mut ledger, host(1, 1), 1);
    ledger.name_peer(host(2, 1));
    ledger.set_sender(host(1, 1));
    packet(&mut ledger, host(1, 1), 1);
    ledger.set_sender(Sender::Unknown);
    ledger.count(OwnCounter::MetricsReceived, 5);
    ledger.skip_restored();
    ledger.count(OwnCounter::MetricsReceived, 3);
    let senders = ledger.count_senders();
    let lines: Vec<u64> = all(senders).into_iter().map(|record| record.lines).collect();
    assert_eq!(lines, [2]);
    assert_eq!(senders.others().lines, 3, "lines of an unknown sender");
    assert_eq!(senders.others().senders, 0);
}

#[test]
fn a_number_stands_for_one_sender() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.sender_id(), 0);
    packet(&mut ledger, host(1, 1), 1);
    let first = ledger.sender_id();
    packet(&mut ledger, host(2, 1), 1);
    let second = ledger.sender_id();
    packet(&mut ledger, host(1, 2), 1);
    assert_eq!(ledger.sender_id(), first);
    let senders = ledger.count_senders();
    assert_eq!(senders.by_id(second).unwrap().sender, host(2, 0));
    assert!(senders.by_id(0).is_none());
    // Many senders later both have lost their records.
    (10..5000).for_each(|number| packet(&mut ledger, host(number, 1), 3));
    let senders = ledger.count_senders();
    assert!(senders.by_id(first).is_none() && senders.by_id(second).is_none());
    let mut ids: Vec<u16> = all(senders).into_iter().map(|record| record.id).collect();
    assert!(ids.iter().all(|id| senders.by_id(*id).unwrap().id == *id));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), SENDERS_MAX);
}

/// Shows that a flood of forged addresses takes no record from senders with more lines, that
/// nothing is lost from the sums, and that a sender that is silent for long makes room.
#[test]
fn senders_without_a_record_are_summed() {
    const STEADY: u32 = 400;
    let mut ledger = Ledger::new([5, 6, 7, 8]);
    let mut lines = 0;
    ledger.set_now(at(1000));
    for round in 0..20 {
        for number in 0..STEADY {
            packet(&mut ledger, host(number, 1), 10);
            packet(&mut ledger, host(1_000_000 + round * STEADY + number, 1), 1);
            lines += 11;
        }
    }
    let senders = ledger.count_senders();
    assert_eq!(all(senders).len(), SENDERS_MAX);
    let steady = all(senders).into_iter().filter(|record| record.lines == 200).count();
    assert_eq!(steady, STEADY as usize, "none has lost its record");
    assert_eq!(sum(senders).lines, lines);
    assert_eq!(sum(senders).senders, u64::from(STEADY + 20 * STEADY));
    // An hour later the machines have other addresses.
    ledger.set_now(at(4600));
    for number in 0..STEADY {
        packet(&mut ledger, host(2_000_000 + number, 1), 1);
        lines += 1;
    }
    let senders = ledger.count_senders();
    let new = all(senders).into_iter().filter(|record| record.first_seen == at(4600)).count();
    assert_eq!(new, STEADY as usize, "the silent ones have made room, although they sent more");
    assert_eq!(sum(senders).lines, lines);
}

/// Shows that what a client reports is compared with the packets of its own socket.
#[test]
fn reports_are_compared_with_the_packets_of_their_socket() {
    const SENT: &[u8] = b"datadog.dogstatsd.client.packets_sent;client=py";
    let mut ledger = Ledger::default();
    let report = |ledger: &mut Ledger, port, packets: u64, reported: f64| {
        for _ in 0..packets {
            packet(ledger, host(1, port), 1);
            packet(ledger, host(9, port), 1); // another host with the same port
        }
        packet(ledger, host(1, port), 3);
        ledger.client_report(b"datadog.dogstatsd.client.metrics", 999.0);
        ledger.client_report(SENT, reported);
    };
    report(&mut ledger, 1, 100, 5000.0);
    report(&mut ledger, 2, 100, 100.0);
    report(&mut ledger, 1, 99, 100.0);
    report(&mut ledger, 2, 80, 100.0);
    let reported = |ledger: &mut Ledger| {
        let record =
            all(ledger.count_senders()).into_iter().find(|record| record.sender == host(1, 0));
        record.unwrap().reported.unwrap()
    };
    assert_eq!(reported(&mut ledger).to_string(), "sent 200 received 181 lost 19 (9.5 %)");
    // A stream has no packets to lose.
    ledger.set_sender(host(1, 3));
    for _ in 0..3 {
        ledger.client_report(SENT, 10.0);
    }
    assert_eq!(reported(&mut ledger).to_string(), "sent 220 received 201 lost 19 (8.6 %)");
    for odd in [f64::NAN, -1.0, f64::INFINITY] {
        ledger.client_report(SENT, odd);
    }
    assert!(reported(&mut ledger).sent > 1 << 60);
}

/// Shows the memory of a full table. What clients report needs at most 64 × 48 bytes a sender more.
#[test]
fn a_full_table_needs_little_memory() {
    let record = size_of::<SenderRecord>();
    assert!(record <= 352, "{record} bytes");
    let mut ledger = Ledger::default();
    (0..10_000).for_each(|number| packet(&mut ledger, host(number, 1), 1));
    let senders = ledger.count_senders();
    assert_eq!(senders.records.len(), SENDERS_MAX);
    assert!(senders.records.capacity() <= 2 * SENDERS_MAX);
    assert!(senders.victims.capacity() <= 2 * VICTIMS);
}

/// Shows that a flood of packets from senders without a record scans all records once for
/// [`VICTIMS`] packets, not for each.
#[test]
fn a_flood_of_forged_addresses_is_cheap() {
    const PACKETS: u32 = 20_000;
    let mut ledger = Ledger::default();
    let mut scans = 0;
    for number in 0..PACKETS {
        let before = ledger.count_senders().victims.len();
        packet(&mut ledger, host(number, 1), 1);
        scans += usize::from(ledger.count_senders().victims.len() > before);
    }
    let evicted = PACKETS as usize - SENDERS_MAX;
    assert_eq!(scans, evicted.div_ceil(VICTIMS));
}
