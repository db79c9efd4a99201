//! Destinations given by name: resolved at each dial, every address tried in turn.

use log::Level;

use super::*;
use crate::sink::resolver::tests::leave_child;
use crate::sink::testing::{answer_look_ups, with_host};

#[test]
fn the_addresses_of_a_name_are_tried_in_turn_and_looked_up_again_each_round() {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::new(&with_host("carbon.test", carbon(address)));
    // No process listens at the first two.
    answer_look_ups("for i in 3 2 1; do echo 127.0.0.$i:$PORT; done");
    for round in 0..2 {
        rig.flush("a 1 1\n");
        if round == 0 {
            rig.turn();
        }
        assert_eq!(situation(&rig).0, "resolving");
        for refused in [3, 2] {
            rig.until_state("backing_off");
            // The break before the second round counts as one; addresses within a round do not.
            assert_within(rig.advance_to_retry(), 100 << round..=200 << round);
            assert_eq!(
                situation(&rig).1.unwrap(),
                "Connection refused (os error 111)",
                "{refused}"
            );
            rig.sink.timeout(rig.now, rig.poll.registry());
        }
        let mut client = rig.accept(&listener);
        rig.until("a connection", |sink| sink.figures().state == "up");
        rig.until_received(&mut client, &"a 1 1\n".repeat(round + 1));
        rig.until("the acknowledgement", |sink| sink.is_drained());
        drop(client);
        rig.until_state("backing_off");
        rig.until_reaped();
        rig.advance_to_retry();
        rig.sink.timeout(rig.now, rig.poll.registry());
    }
    rig.until_reaped();
}

#[test]
fn a_look_up_that_fails_or_hangs_is_a_failure_like_any_other() {
    let listener = listener();
    let mut rig = Rig::new(&with_host("carbon.test", carbon(listener.local_addr().unwrap())));
    answer_look_ups("echo error: no such name");
    rig.flush("a 1 1\n");
    rig.until_state("backing_off");
    assert_eq!(situation(&rig).1.unwrap(), "no such name");
    answer_look_ups("exec sleep 1000");
    rig.until_reaped();
    rig.advance_to_retry();
    rig.turn();
    assert_eq!(situation(&rig).0, "resolving");
    rig.advance(10 * SECOND);
    rig.sink.timeout(rig.now, rig.poll.registry());
    assert_eq!(situation(&rig).0, "backing_off");
    assert_eq!(situation(&rig).1.unwrap(), "no answer to the look-up");
    rig.until_reaped();
}

/// Shows that a reload to another name while the look-up of the old one hangs is no failure. The
/// new name is looked up as soon as the child of the old look-up is reaped.
#[test]
fn a_reload_to_another_name_while_a_look_up_hangs_is_no_failure() {
    let listener = listener();
    let to = carbon(listener.local_addr().unwrap());
    let mut rig = Rig::new(&with_host("old.test", to.clone()));
    answer_look_ups("exec sleep 1000");
    rig.flush("a 1 1\n");
    rig.turn();
    assert_eq!(situation(&rig).0, "resolving");
    logged();
    answer_look_ups("echo 127.0.0.1:$PORT");
    rig.sink.reconfigure(&with_host("new.test", to), feed(), rig.now);
    // However fast the killed child ends, the next look-up has to wait for it here.
    let later = rig.now.tick + Duration::from_millis(50);
    leave_child(&mut link(&mut rig.sink).resolver, rig.poll.registry(), later);
    rig.turn();
    assert_eq!(situation(&rig).0, "backing_off");
    assert_eq!(rig.advance_to_retry(), Duration::from_millis(50));
    rig.until_reaped();
    rig.until_state("up");
    let lines = logged();
    assert!(lines.iter().all(|(level, _)| *level > Level::Warn), "{lines:?}");
}
