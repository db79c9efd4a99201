//! Chooses the next rate to try from the result of the last one. Pure.

/// The result of trying a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Try<T> {
    Holds(T),
    /// Nothing was lost, but the sender did not reach the rate.
    Bound(T),
    /// Something was lost at the rate that the sender reached.
    Loses(f64),
}

/// How far two neighbouring rates of the first steps are apart.
const STRIDE: u64 = 4;

/// The steps down from the first rate, if even that one loses something.
const DOWN: u32 = 3;

/// Returns the highest rate that loses nothing, at most the highest rate of the sender. Strides
/// from `start` to a rate that loses, then halves the distance (as a ratio) a fixed number of
/// times.
pub(crate) fn highest_that_holds<T>(
    start: u64,
    halvings: u32,
    mut attempt: impl FnMut(u64) -> Try<T>,
) -> Option<u64> {
    let mut low = 0;
    let mut rate = start;
    let mut high = loop {
        match attempt(rate) {
            Try::Holds(_) => (low, rate) = (rate, rate * STRIDE),
            Try::Bound(_) => return Some(rate),
            Try::Loses(reached) => break reached_or(rate, reached),
        }
    };
    for _ in 0..if low == 0 { DOWN } else { 0 } {
        match attempt(high / STRIDE) {
            Try::Loses(_) => high /= STRIDE,
            _ => {
                low = high / STRIDE;
                break;
            }
        }
    }
    for _ in 0..if low == 0 { 0 } else { halvings } {
        let middle = low.saturating_mul(high).isqrt();
        match attempt(middle) {
            Try::Loses(reached) => high = reached_or(middle, reached),
            _ => low = middle,
        }
    }
    Some(low).filter(|low| *low > 0)
}

/// The rates to try for longer, as shares of the one that held in short tries. A server that stops
/// receiving while it flushes is far below that.
const BACK: [f64; 9] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 0.4, 0.25, 0.1];

/// Returns the rate if it holds in a longer try, or else the first one a little below it that does.
pub(crate) fn confirmed<T>(rate: u64, mut attempt: impl FnMut(u64) -> Try<T>) -> Option<T> {
    BACK.iter().find_map(|share| match attempt(portion(rate, *share)) {
        Try::Holds(found) | Try::Bound(found) => Some(found),
        Try::Loses(_) => None,
    })
}

/// If the sender cannot reach a rate, that rate is no bound of the server.
fn reached_or(asked: u64, reached: f64) -> u64 {
    portion(asked, (reached / asked as f64).min(1.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a rate")]
fn portion(rate: u64, share: f64) -> u64 {
    ((rate as f64 * share) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that can take `server` lines a second, and a sender that can send `sender`.
    fn world(server: u64, sender: u64) -> impl FnMut(u64) -> Try<u64> {
        move |rate| {
            let reached = rate.min(sender);
            match (reached > server, reached < rate) {
                (true, _) => Try::Loses(reached as f64),
                (false, true) => Try::Bound(reached),
                (false, false) => Try::Holds(reached),
            }
        }
    }

    #[test]
    fn the_edge_is_found_from_above_and_from_below() {
        for edge in [4_000, 50_000, 200_000, 200_001, 777_777, 5_000_000] {
            let found = highest_that_holds(200_000, 6, world(edge, 100_000_000)).unwrap();
            assert!(found <= edge && found as f64 > edge as f64 * 0.97, "{edge}: {found}");
        }
        assert_eq!(highest_that_holds(200_000, 6, world(100, 100_000_000)), None);
    }

    #[test]
    fn a_sender_that_is_the_limit_is_said_to_be() {
        let rate = highest_that_holds(200_000, 4, world(50_000_000, 9_000_000)).unwrap();
        assert_eq!(world(50_000_000, 9_000_000)(rate), Try::Bound(9_000_000));
    }

    #[test]
    fn a_sender_near_the_limit_narrows_the_search() {
        let found = highest_that_holds(200_000, 5, world(7_000_000, 9_000_000)).unwrap();
        assert!((6_800_000..=7_000_000).contains(&found), "{found}");
    }

    #[test]
    fn what_holds_for_a_moment_is_tried_for_longer_and_taken_back() {
        assert_eq!(confirmed(1000, world(2000, 2000)), Some(1000));
        assert_eq!(confirmed(1000, world(920, 2000)), Some(900));
        assert_eq!(confirmed(1000, world(99, 2000)), None);
    }

    #[test]
    fn the_tries_are_few() {
        let mut tries = 0;
        let mut server = world(7_000_000, 100_000_000);
        highest_that_holds(200_000, 4, |rate| {
            tries += 1;
            server(rate)
        });
        assert_eq!(tries, 4 + 4);
    }
}
