//! Writes lines of Datadog's clients to standard output, each context `ROUNDS` times:
//! `cargo run -p statsd-bench --example contexts -- CONTEXTS [ROUNDS [SEED]]`.

use std::io::{self, BufWriter, Write as _};

use statsd_bench::Contexts;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().ok());
    let mut next = |default| numbers.next().flatten().unwrap_or(default);
    let (count, rounds, seed) = (next(10_000), next(1), next(1));
    let mut contexts = Contexts::new(seed as u64, count);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    for number in (0..rounds).flat_map(|_| 0..count) {
        line.clear();
        contexts.append(number, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    out.flush()
}
