//! Each kind of destination as a file gives it.

use super::*;
use crate::config::Config;
use crate::config::parse::tests::{config, mistakes};
use crate::config::render;

/// The destinations of one kind. The console is among them even if it is off.
fn of_kind(config: Config, section: &str) -> Vec<Destination> {
    config.destinations.into_iter().filter(|to| to.section() == section).collect()
}

/// The name and the address of each destination.
fn addresses(destinations: &[Destination]) -> Vec<(&str, String)> {
    let address = |to: &Destination| to.net.as_ref().unwrap().remote.to_string();
    destinations.iter().map(|to| (to.name.as_str(), address(to))).collect()
}

#[test]
fn destinations_are_listed_by_kind_and_then_in_the_order_of_the_file() {
    let text = "[exec.a]\ncommand = a\n[influxdb.b]\naddress = b\n[carbon.d]\naddress = d\n\
                [console]\nenabled = yes\n[influxdb]\naddress = a\n[carbon.c]\naddress = c\n";
    let config = config(text);
    let names: Vec<_> = config.active_destinations().map(|to| to.name.as_str()).collect();
    let expected =
        ["carbon", "carbon.d", "carbon.c", "influxdb", "influxdb.b", "console", "exec.a"];
    assert_eq!(names, expected);
}

#[test]
fn a_carbon_without_an_address_is_off() {
    assert_eq!(of_kind(config("[carbon]\naddress = # off\n[carbon.x]\naddress =\n"), "carbon"), []);
    assert_eq!(
        mistakes("\n[carbon.x]\nqueue = 1m\n"),
        ["t.conf:2: [carbon.x] address: expected host[:port], it has no default"]
    );
}

#[test]
fn the_port_is_that_of_the_protocol_unless_it_is_given() {
    for (text, port) in [
        ("[carbon]\nprotocol = pickle", 2004),
        ("[carbon]\naddress = a\nprotocol = pickle", 2004),
        ("[carbon]\nprotocol = pickle\naddress = a:2003", 2003),
        ("[carbon]\naddress = a\nprotocol = plaintext", 2003),
    ] {
        let carbons = of_kind(config(text), "carbon");
        assert_eq!(carbons[0].net.as_ref().unwrap().remote.port, port, "{text}");
    }
    let wrong = mistakes("[carbon]\nprotocol = pickle\naddress = :1");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn an_influxdb_is_off_without_an_address_and_the_port_is_that_of_its_protocol() {
    assert_eq!(of_kind(config("[influxdb]\ndatabase = a"), "influxdb"), []);
    for (text, port) in [
        ("address = a", 8086),
        ("address = a\nprotocol = udp", 8089),
        ("protocol = udp\naddress = a:1", 1),
    ] {
        let influxdbs = of_kind(config(&format!("[influxdb.b]\n{text}")), "influxdb");
        assert_eq!(influxdbs[0].net.as_ref().unwrap().remote.port, port, "{text}");
        assert_eq!(influxdbs[0].name, "influxdb.b");
    }
}

#[test]
fn mistakes_of_an_influxdb_are_named() {
    for (text, expected) in [
        ("[influxdb.a]", "1: [influxdb.a] address: expected host[:port], it has no default"),
        (
            "[influxdb]\naddress = a\nreconnect_min = 1h",
            "3: [influxdb] reconnect_max: expected at least",
        ),
        ("[influxdb]\ndatabase =", "2: [influxdb] database: expected 1 to 128 printable"),
        ("[influxdb]\nusername = a:b", "2: [influxdb] username: expected 0 to 128 printable"),
        ("[influxdb]\nnamespace = x", "2: [influxdb] namespace: no [namespace.x]"),
        ("[influxdb]\naddress = :1\nprotocol = udp", "2: [influxdb] address: expected host"),
    ] {
        let found = mistakes(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
}

#[test]
fn a_ganglia_is_off_without_an_address() {
    assert_eq!(of_kind(config("[ganglia]\nprefix = a"), "ganglia"), []);
    let text = "[ganglia]\naddress = a\n[ganglia.b]\naddress = b:1";
    let ganglias = of_kind(config(text), "ganglia");
    assert_eq!(addresses(&ganglias), [("ganglia", "a:8649".into()), ("ganglia.b", "b:1".into())]);
    let expected = "1: [ganglia.a] address: expected host[:port], it has no default";
    assert!(mistakes("[ganglia.a]")[0].contains(expected));
}

#[test]
fn a_repeater_is_off_without_an_address_and_its_queue_is_that_of_its_protocol() {
    assert_eq!(of_kind(config("[repeater]\nprotocol = tcp"), "repeater"), []);
    let text = "[repeater]\naddress = a\n[repeater.b]\naddress = b:1\nprotocol = tcp";
    let repeaters = of_kind(config(text), "repeater");
    let expected = [("repeater", "a:8125".into()), ("repeater.b", "b:1".into())];
    assert_eq!(addresses(&repeaters), expected);
    let takes: Vec<_> = repeaters.iter().map(Destination::takes).collect();
    assert_eq!(
        takes,
        [
            DestinationFeed::Packets(PacketTransport::Datagrams),
            DestinationFeed::Packets(PacketTransport::Stream)
        ]
    );
    let queues: Vec<_> = repeaters.iter().map(|to| to.queue.bytes).collect();
    assert_eq!(queues, [1 << 20, 16 << 20]);
}

#[test]
fn a_command_is_taken_as_it_stands_and_shown_as_it_is_taken() {
    let text = "[exec]\ncommand =  awk '{ print \"#\" $1; }' | tee \"a b\"  # c \n\
                [exec.b]\ncommand = # off\n[exec.c]\ntimeout = 1m\ncommand =\"cat\" > c\n";
    let read = config(text);
    assert_eq!(config(&render(&read)), read);
    let execs = of_kind(read, "exec");
    let commands: Vec<_> = execs
        .iter()
        .map(|to| match &to.kind {
            DestinationKind::Exec(exec) => (&to.name[..], &exec.command[..]),
            kind => panic!("{kind:?}"),
        })
        .collect();
    let expected =
        [("exec", "awk '{ print \"#\" $1; }' | tee \"a b\"  # c"), ("exec.c", "\"cat\" > c")];
    assert_eq!(commands, expected);
    assert_eq!(of_kind(config(""), "exec"), []);
}

#[test]
fn a_further_command_has_no_default() {
    assert_eq!(
        mistakes("[exec.a]\ntimeout = 1s"),
        ["t.conf:1: [exec.a] command: expected a command, it has no default"]
    );
    assert_eq!(mistakes("[exec]\ncommand = a\0b").len(), 1);
}
