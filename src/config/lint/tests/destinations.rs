//! Destinations that are this server, that are the same, or whose queue is too short.

use super::*;

#[test]
fn a_destination_that_is_this_server() {
    let surroundings = Surroundings {
        host_name: "web1.example.org".into(),
        own_addresses: vec!["192.0.2.7".parse().unwrap(), "127.0.0.1".parse().unwrap()],
        ..Surroundings::default()
    };
    for text in [
        "[repeater]\naddress = 127.0.0.1:8125",
        "[repeater]\naddress = localhost",
        "[repeater]\naddress = [::1]:8125",
        "[repeater]\naddress = 0.0.0.0:8125",
        "[repeater]\naddress = 192.0.2.7",
        "[repeater]\naddress = WEB1",
        "[repeater]\naddress = web1.example.org.",
        "[repeater]\naddress = localhost\nprotocol = tcp",
        "[udp]\nbind = localhost:9125\n[repeater]\naddress = 127.0.0.1:9125",
        "[udp]\nbind = 192.0.2.7:9125\n[repeater]\naddress = web1:9125",
        "[udp]\nbind = 127.0.0.1:9125\n[repeater]\naddress = localhost:9125",
        "[carbon]\naddress = localhost:8125",
        "[carbon]\naddress = localhost:8126",
    ] {
        let found = found_near(text, &surroundings);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains("is an address of this server itself"), "{found:#?}");
    }
    for text in [
        "[repeater]\naddress = 127.0.0.1:9125",
        "[repeater]\naddress = web2",
        "[repeater]\naddress = 192.0.2.8",
        "[udp]\nbind = 192.0.2.7:8125\n[repeater]\naddress = 127.0.0.1:8125",
        "[tcp]\nbind =\n[repeater]\naddress = localhost\nprotocol = tcp",
    ] {
        assert_eq!(found_near(text, &surroundings), [""; 0], "{text}");
    }
}

#[test]
fn two_destinations_that_are_the_same() {
    assert_warns(&[
        (
            "[carbon]\naddress = a\n[carbon.b]\naddress = A:2003",
            "t.conf:4: [carbon.b] address: [carbon] sends the same",
            "remove one",
        ),
        ("[exec]\ncommand = a\n[exec.b]\ncommand = a", "t.conf:4: [exec.b] command", "remove one"),
        (
            "[carbon]\naddress = a\n[carbon.b]\naddress = a\nown_figures = no",
            "t.conf:4: [carbon.b] address: [carbon] sends the same",
            "remove one",
        ),
        (
            "[carbon]\naddress = a\nprotocol = pickle\n[carbon.b]\naddress = a\n\
             protocol = pickle\npickle_batch = 9",
            "t.conf:5: [carbon.b] address: [carbon] sends the same",
            "remove one",
        ),
        (
            "[influxdb]\naddress = a\nversion = 2\nbucket = c\n[influxdb.b]\naddress = a\n\
             version = 2\nbucket = c",
            "t.conf:6: [influxdb.b] address: [influxdb] sends the same",
            "remove one",
        ),
    ]);
    assert_silent(&[
        "[influxdb]\naddress = a\nversion = 2\nbucket = c\n[influxdb.b]\naddress = a\n\
         version = 2\nbucket = d",
        "[influxdb]\naddress = a\nversion = 2\norg = c\n[influxdb.b]\naddress = a\n\
         version = 2\norg = d",
        "[carbon]\naddress = a\n[carbon.b]\naddress = a\nnamespace = n\n[namespace.n]",
        "[influxdb]\naddress = a\n[influxdb.b]\naddress = a\ndatabase = b",
        "[carbon]\naddress = a\n[carbon.b]\naddress = a:2004\nprotocol = pickle",
    ]);
}

#[test]
fn a_queue_too_short_for_its_flushes() {
    assert_warns(&[
        (
            "[carbon]\nqueue = 1m",
            "2 flushes for a resend and a new one",
            "write queue = 2m, or res",
        ),
        (
            "[carbon]\nqueue = 16m\nresend_keep = 100",
            "10000 points",
            "queue = 62m, or resend_keep = 25",
        ),
        ("[influxdb]\naddress = a\nresend = flush\nqueue = 1m", "[influxdb] queue", "queue = 2m"),
    ]);
    assert_silent(&[
        "[carbon]\nqueue = 2m",
        "[carbon]\nresend_keep = 100",
        "[carbon]\nqueue = 1m\nresend = unacked",
        "[carbon]\nqueue = 1m\n[limits]\nmax_series = 1000",
        "[influxdb]\naddress = a\nqueue = 1m",
    ]);
}
