//! Cumulative counters (`C`) that rules make one: each client counts by itself.

use crate::rig::{Core, configured, values};
use statsd::ledger::OwnCounter;
use statsd::wire::In;

const DROP_POD: &str = "[rule.a]\nmatch = app.**\ndrop_tags = pod\n";

/// The count of `app.hits` in the lines of a flush.
fn hits(core: &mut Core, stamp: u64) -> f64 {
    let lines = core.flush(stamp);
    values(&lines).get("stats_counts.app.hits").map_or(f64::NAN, |count| count.parse().unwrap())
}

fn restarted(core: &Core, config: &str) -> Core {
    let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let settings = configured(config);
    let mut core = Core::new(&settings, &Default::default());
    let restored = core.engine.restore(In::new(&state), settings.flush_interval, false);
    assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
    core
}

#[test]
fn the_totals_of_two_clients_are_not_compared_with_each_other() {
    for config in [DROP_POD.to_owned(), format!("{DROP_POD}[statsd]\nsanitize_keys = no\n")] {
        let mut core = Core::configured(&config);
        for n in 0..=4 {
            core.packet(&format!("app.hits:{}|C|#pod:a,v:1\napp.hits:{}|c|#pod:a", 1000 + n, n));
            core.packet(&format!("app.hits:{}|C|#pod:b,v:1", 10 + n));
            // The same name as that of the first line.
            core.packet(&format!("app.hits:{}|C|#v:1,pod:a", 1000 + n));
        }
        let lines = core.flush(10);
        assert_eq!(values(&lines)["stats_counts.app.hits;v=1"], "8", "{config}");
        assert_eq!(values(&lines)["stats_counts.app.hits"], "10", "{config}");
        // A client that has restarted.
        core.packet("app.hits:3|C|#pod:a,v:1\napp.hits:16|C|#pod:b,v:1");
        let lines = core.flush(20);
        assert_eq!(values(&lines)["stats_counts.app.hits;v=1"], "5", "{config}");
    }
}

#[test]
fn the_totals_of_all_clients_stay_after_a_restart_and_a_reload() {
    let mut core = Core::configured(DROP_POD);
    let send = |core: &mut Core, total: u32| {
        core.packet(&format!("app.hits:{}|C|#pod:a\napp.hits:{total}|C|#pod:b", total + 1000));
        core.packet(&format!("app.hits:{}|C|#pod:c\napp.hits:{}|C", total + 100, total + 7));
    };
    send(&mut core, 1);
    send(&mut core, 2);
    let mut core = restarted(&core, DROP_POD);
    send(&mut core, 5);
    assert_eq!(hits(&mut core, 10), 16.0);
    // The series is kept, and from now on stored with another of its names.
    let other = "[rule.b]\nmatch = app.**\ndrop_tags = pod\nexpire = 1h\n";
    core.engine.reconfigure(&configured(other));
    core.packet("app.hits:8|C|#pod:b");
    assert_eq!(hits(&mut core, 20), 3.0);
    let mut core = restarted(&core, DROP_POD);
    send(&mut core, 8);
    assert_eq!(hits(&mut core, 30), 9.0);
    // Two saved series that rules make one.
    let mut core = Core::configured("");
    send(&mut core, 1);
    send(&mut core, 2);
    let mut core = restarted(&core, DROP_POD);
    send(&mut core, 4);
    assert_eq!(hits(&mut core, 10), 12.0);
}

/// Shows that `explain` adds what the line will add.
#[test]
fn a_copy_of_the_series_has_the_totals_of_all_clients() {
    let mut core = Core::configured(DROP_POD);
    core.packet("app.hits:1000|C|#pod:a\napp.hits:10|C|#pod:b\napp.hits:12|C|#pod:b");
    let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let again = restarted(&core, DROP_POD).engine.save(|_| Ok::<(), ()>(())).unwrap();
    assert_eq!(state, again, "a saved series is restored as it was");
}

/// Shows that the names of one counter are bounded, that further ones are refused and counted, and
/// that all memory is freed.
#[test]
fn a_counter_of_too_many_clients_refuses_further_ones() {
    let config = format!("[limits]\nevict_after = 20s\n[statsd]\nexpire = 1m\n{DROP_POD}");
    let mut core = Core::configured(&config);
    let refused = |core: &Core| core.engine.own().total(OwnCounter::SeriesRejected);
    let send = |core: &mut Core, from: u32, to: u32, total: u32| {
        for pod in from..to {
            core.packet(&format!("app.hits:{total}|C|#pod:{pod}"));
        }
    };
    send(&mut core, 0, 5000, 10);
    send(&mut core, 0, 5000, 12);
    assert_eq!(refused(&core), 2 * (5000 - 4097));
    assert_eq!(hits(&mut core, 10), 2.0 * 4097.0);
    // Names that have sent nothing for `evict_after` make room.
    send(&mut core, 0, 1000, 13);
    core.flush(20);
    send(&mut core, 0, 1000, 14);
    core.flush(30);
    let before = refused(&core);
    send(&mut core, 5000, 5100, 1);
    send(&mut core, 5000, 5100, 2);
    send(&mut core, 0, 1000, 15);
    assert_eq!(refused(&core), before);
    assert_eq!(hits(&mut core, 40), 1100.0);
    (5..12).for_each(|flush| _ = core.flush(flush * 10));
    assert_eq!((core.engine.table().len(), core.engine.table().record_bytes()), (0, 0));
}
