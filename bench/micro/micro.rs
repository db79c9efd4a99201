//! Times the routines: `make micro`, or `make micro ARGS=apply` for some of them.

mod routines;

use std::cell::RefCell;

use divan::Bencher;
use divan::counter::ItemsCount;

use routines::{Row, Scale, all};

fn main() {
    divan::main();
}

// Each run is prepared by itself, hence a sample of one.
#[divan::bench(args = all(), sample_size = 1, max_time = 3)]
fn routine(bencher: Bencher<'_, '_>, row: &Row) {
    let routine = RefCell::new((row.make)(Scale::FULL));
    let units = routine.borrow().units();
    bencher
        .counter(ItemsCount::new(units))
        .with_inputs(|| routine.borrow_mut().prepare())
        .bench_local_values(|()| routine.borrow_mut().run());
}
