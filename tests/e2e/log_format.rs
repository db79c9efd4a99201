//! `log_format`: every line of the log is JSON, from the start to the stop, and a reload can change
//! it.

use std::fs;

use serde_json::Value;

use crate::support::{Conf, DEADLINE, Daemon, Process, listen_on, statsd_command, until_true};

/// Returns the log's lines apart from the `ready` line, each of which must be a JSON object.
fn objects<'a>(log: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let lines = log.into_iter().filter(|line| !line.starts_with("ready "));
    let object = |line: &str| -> Value {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{error}: {line}");
        });
        for name in ["time", "level", "msg"] {
            assert!(object[name].is_string(), "no {name}: {line}");
        }
        object
    };
    lines.map(object).collect()
}

/// Whether a line has a field. Some call sites still write their fields into the sentence.
fn has(object: &Value, key: &str, value: &str) -> bool {
    object[key] == value
}

/// Shows that a start, lines from clients, a warning, a refused reload and a stop are logged as
/// JSON, with the fields of text and their types.
#[test]
fn a_log_in_json_is_json_from_the_start_to_the_stop() {
    let conf = Conf::never_flushing().set("statsd", "log_format", "json");
    let conf = conf.set("statsd", "dump_messages", "yes");
    let mut daemon = Daemon::start(&conf);
    daemon.send([&b"nonsense \"\\\x1b[31m\xff\xc3\xa9"[..], b"last:1|c"]);
    daemon.until_logged(&["last:1|c"], 1);
    daemon.until_logged(&["bad_lines", "nonsense"], 1);
    daemon.reload(&conf.set("udp", "bnid", "*:1"));
    daemon.until_logged(&["did you mean bind?"], 1);
    daemon.sigterm();
    daemon.exit();
    daemon.until_logged(&["done"], 1);
    let log = daemon.log();
    let objects = objects(log.iter().map(String::as_str));
    let with = |key: &str| {
        objects.iter().find(|object| object.get(key).is_some()).unwrap_or_else(|| {
            panic!("no {key}: {objects:#?}");
        })
    };
    assert_eq!(
        (&with("start")["level"], &with("start")["config"]),
        (&"info".into(), &"statsd.conf".into())
    );
    let shown = "nonsense \"\\\x1b[31m\u{fffd}é";
    assert_eq!(with("line")["line"], shown);
    let warning = with("bad_lines");
    assert_eq!((&warning["bad_lines"], &warning["example"]), (&1.into(), &shown.into()));
    assert!(warning["sender"].as_str().unwrap().starts_with("127.0.0.1:"), "{warning}");
    let is_refusal =
        |object: &Value| has(object, "reload", "refused") && object["level"] == "error";
    assert!(objects.iter().any(is_refusal), "{objects:#?}");
    assert!(has(objects.last().unwrap(), "stop", "done"), "{objects:#?}");
}

/// Shows that the end of an outage is logged with its length as a number.
#[test]
fn the_length_of_an_outage_is_a_number_in_json() {
    let state = tempfile::tempdir().unwrap();
    let failed = state.path().join("failed");
    let command =
        format!("cat > /dev/null; test -e {0} || {{ touch {0}; exit 1; }}", failed.display());
    let conf = Conf::flushing_every("1s").set("statsd", "log_format", "json");
    let daemon = Daemon::start(&conf.set("exec", "command", command));
    daemon.send(["a:1|c"]);
    daemon.until_logged(&["recovered"], 1);
    let log = daemon.log();
    let line = log.iter().find(|line| line.contains("recovered")).unwrap();
    let seconds = &objects([line.as_str()])[0]["outage_seconds"];
    assert!(seconds.is_number(), "{line}");
    daemon.stop();
}

/// Shows that a reload changes the form of the lines after it.
#[test]
fn a_reload_changes_the_form_of_the_log() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf);
    daemon.reload(&conf.clone().set("statsd", "log_format", "json"));
    let is_done = |line: &String| {
        line.contains("reload") && line.contains("done") && line.contains("statsd.log_format")
    };
    until_true("the first reload", || daemon.log().iter().any(is_done));
    daemon.reload(&conf);
    until_true("the second reload", || {
        daemon.log().iter().filter(|line| is_done(line)).count() == 2
    });
    let mut log = daemon.log();
    // The warnings about this configuration, and the address of the page, may come at any time.
    log.retain(|line| !line.contains("setting") && !line.contains("page"));
    let forms: String = log.iter().filter_map(|line| line.chars().next()).collect();
    assert_eq!(forms, "tr{t", "{log:#?}");
    daemon.stop();
}

/// Shows that the mistake which ends a start is JSON too, once the configuration has been read.
#[test]
fn a_start_that_fails_logs_json() {
    let taken = listen_on("127.0.0.1:0".parse().unwrap());
    let address = taken.local_addr().unwrap();
    let conf = Conf::never_flushing().set("statsd", "log_format", "json");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("statsd.conf"), conf.set("tcp", "bind", address).text()).unwrap();
    let mut command = statsd_command(folder.path());
    let ended = Process::start(command.args(["-c", "statsd.conf"])).finish(DEADLINE);
    assert_eq!(ended.code, Some(1));
    let objects = objects(ended.stderr.lines());
    let message = objects.last().unwrap()["msg"].as_str().unwrap();
    assert!(message.contains(&address.to_string()), "{objects:#?}");
}
