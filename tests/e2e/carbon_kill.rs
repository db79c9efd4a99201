//! A SIGKILL of carbon costs no point of the flush in progress, of the flush before it, and of
//! later flushes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{Carbon, Conf, Daemon, unix_now, until, until_clock_shows, until_true};

const SERIES: usize = 1000;
/// Delivered flushes that the server sends again.
const KEEP: u64 = 6;
/// The full number takes a minute, so a build that is not optimised gets three.
const KILLS: u64 = if cfg!(optimised) { 10 } else { 3 };

/// Shows that carbon can be killed in the middle of a flush and started three flushes later, again
/// and again, and every point is in Whisper in the end.
///
/// A busy machine gives carbon little time to write its points, and what it has not written dies
/// with it. The server sends the last `resend_keep` flushes again, so a kill waits until all older
/// ones are written.
#[test]
fn carbon_may_be_killed_in_mid_flush() {
    let mut carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "reconnect_max", "200ms")
        .set("carbon", "resend_keep", KEEP);
    let daemon = Daemon::start(&conf);
    let names: Vec<String> = (0..SERIES).map(|name| format!("stats_counts.kill.{name}")).collect();
    for chunk in names.chunks(40) {
        let line = |name: &String| format!("{}:1|c\n", name.trim_start_matches("stats_counts."));
        daemon.send([chunk.iter().map(line).collect::<String>()]);
    }
    let first = unix_now() + 2;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for round in 1..=KILLS {
        until(Duration::from_secs(60), "the older flushes in Whisper", || {
            let older: BTreeSet<u64> = (first..=unix_now().max(first + KEEP) - KEEP / 2).collect();
            missing(&carbon.points(&names), &older).is_empty().then_some(())
        });
        let kill = unix_now() + 1;
        until_clock_shows(kill);
        // The flush of this second goes out within milliseconds: somewhere in it.
        std::thread::sleep(Duration::from_millis(round * 7 % 13));
        carbon.sigkill();
        println!("kill {round} of {KILLS}, in the flush of {kill}");
        until_clock_shows(kill + 3);
        carbon.start_again();
    }
    let last = unix_now() + 2;
    until_clock_shows(last + 1);
    let wanted: BTreeSet<u64> = (first..=last).collect();
    until(Duration::from_secs(60), "every point in Whisper", || {
        let missing = missing(&carbon.points(&names), &wanted);
        match missing.len() {
            0 => Some(()),
            count => {
                println!("{count} points missing, such as {:?}", missing.first());
                None
            }
        }
    });
    // Of outages that follow each other so closely the log tells once a minute.
    until_true("an end of the first outage in the log", || {
        daemon.log().iter().any(|line| line.contains("recovered"))
    });
    until_true("a connection", || daemon.admin().ask("sinks").contains(" state=up "));
    daemon.stop();
}

fn missing(
    stored: &BTreeMap<String, Vec<(u64, f64)>>,
    wanted: &BTreeSet<u64>,
) -> Vec<(String, u64)> {
    let mut missing = Vec::new();
    for name in (0..SERIES).map(|name| format!("stats_counts.kill.{name}")) {
        let points = stored.get(&name).map_or(&[][..], Vec::as_slice);
        let stamps: BTreeSet<u64> = points.iter().map(|(stamp, _)| *stamp).collect();
        missing.extend(wanted.difference(&stamps).map(|stamp| (name.clone(), *stamp)));
    }
    missing
}
