//! Measures the longest insert on the way to a million series: `make growth`. It uses the CPU time
//! of the thread, which includes page faults and excludes other processes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to who called it")]

mod machine;
mod routines;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

const SERIES: usize = 1_000_000;
/// Prints the longest insert among the first N series, for each of these N.
const STEPS: [usize; 4] = [1_000, 10_000, 100_000, SERIES];

fn main() -> Result<(), String> {
    let mut engine = routines::engine("[limits]\nmax_series = 2000000");
    let lines = (0..SERIES).map(|number| format!("bench.web.api.c.{number:07}:1|c"));
    let ours = longest(lines.clone(), |line| routines::receive(&mut engine, line.as_bytes()));
    assert_eq!(engine.table().len(), SERIES, "each line makes a series");
    let mut map = HashMap::new();
    let plain = longest(lines, |line| {
        map.insert(line.into_boxed_str(), [0_u64; 6]);
    });
    let mut table = String::from("| | mean ns |");
    STEPS.iter().for_each(|step| _ = write!(table, " longest of {step}, µs |"));
    table.push_str("\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (what, times) in [("the table", ours), ("one std::collections::HashMap", plain)] {
        let _ = write!(table, "| {what} | {} |", times.mean.as_nanos());
        times.longest.iter().for_each(|time| _ = write!(table, " {} |", time.as_micros()));
        table.push('\n');
    }
    print!("{table}");
    let tool = "`make growth`, CPU time of the thread";
    machine::keep("growth.md", "The longest insert", tool, &table)
}

struct Times {
    mean: Duration,
    longest: [Duration; STEPS.len()],
}

fn longest(lines: impl Iterator<Item = String>, mut insert: impl FnMut(String)) -> Times {
    let (mut sum, mut longest) = (Duration::ZERO, [Duration::ZERO; STEPS.len()]);
    for (number, line) in lines.enumerate() {
        let before = cpu();
        insert(line);
        let took = cpu() - before;
        sum += took;
        for (longest, _) in longest.iter_mut().zip(STEPS).filter(|(_, step)| number < *step) {
            *longest = took.max(*longest);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "a million")]
    Times { mean: sum / SERIES as u32, longest }
}

/// Of this thread, so far.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it").into()
}
