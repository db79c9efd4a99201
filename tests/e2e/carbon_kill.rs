//! A SIGKILL of carbon costs no point of the flush in progress, of the flush before it, and of
//! later flushes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{
    Carbon, Conf, DEADLINE, Daemon, FakeCarbon, unix_now, until, until_clock_shows, until_true,
};

/// Few enough that carbon keeps up with them on a busy machine.
const SERIES: usize = 300;
/// Delivered flushes that the server sends again.
const KEEP: u64 = 30;
const KILLS: u64 = 6;

/// Shows that carbon can be killed in the middle of a flush and started three flushes later, again
/// and again, and every point is in Whisper in the end.
///
/// A busy machine gives carbon little time to write its points, and what it has not written dies
/// with it. The server sends the last `resend_keep` flushes again, so a kill waits until all older
/// ones are written.
#[test]
fn carbon_may_be_killed_in_mid_flush() {
    // A slow machine may need longer than the five minutes that are usual here.
    let mut carbon = Carbon::start_with("[all]\npattern = .*\nretentions = 1s:20m\n", "");
    let witness = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "reconnect_max", "200ms")
        .set("carbon", "resend_keep", KEEP)
        .set("carbon.witness", "address", witness.address());
    let daemon = Daemon::start(&conf);
    let names: Vec<String> = (0..SERIES).map(|name| format!("stats_counts.kill.{name}")).collect();
    for chunk in names.chunks(40) {
        let line = |name: &String| format!("{}:1|c\n", name.trim_start_matches("stats_counts."));
        daemon.send([chunk.iter().map(line).collect::<String>()]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let first = witness.until("a flush of all series", |points| {
        let counts = points.iter().filter(|point| point.name.starts_with("stats_counts.kill."));
        let mut series = BTreeMap::<u64, usize>::new();
        counts.for_each(|point| *series.entry(point.stamp).or_default() += 1);
        series.into_iter().find(|(_, count)| *count == SERIES).map(|(stamp, _)| stamp)
    });
    // What the server has sent since: a late server skips a second.
    let sent = || witness.stamps(names[0]).split_off(&first);
    for round in 1..=KILLS {
        until(2 * DEADLINE, "the older flushes in Whisper", || {
            let mut older = sent();
            older.split_off(&(unix_now() - 3));
            let is_stored = |older| missing(&points(&carbon, &names), older).is_empty();
            (older.len() >= 3 && is_stored(&older)).then_some(())
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
    witness.flush_after(unix_now() + 1);
    let wanted = sent();
    until(2 * DEADLINE, "every point in Whisper", || {
        let missing = missing(&points(&carbon, &names), &wanted);
        match missing.len() {
            0 => Some(()),
            count => {
                println!("{count} points missing, such as {:?}", missing.first());
                None
            }
        }
    });
    // The log reports outages that follow each other closely once a minute.
    until_true("an end of the first outage in the log", || {
        daemon.log().iter().any(|line| line.contains("recovered"))
    });
    until_true("a connection", || daemon.admin().ask("sinks").contains(" state=up "));
    daemon.stop();
}

fn points(carbon: &Carbon, names: &[&str]) -> BTreeMap<String, Vec<(u64, f64)>> {
    carbon.points_of_last(1190, names)
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
