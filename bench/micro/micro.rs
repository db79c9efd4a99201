//! Times the routines: `make micro`, or `make micro ARGS=apply` for some of them.

mod recipe;
mod routines;

use std::cell::RefCell;

use divan::Bencher;
use divan::counter::ItemsCount;

use routines::{Row, Scale, apply, close, encode, parse};

fn main() {
    divan::main();
}

// Each run is prepared by itself, hence a sample of one.

#[divan::bench(name = "parse", args = parse::ROWS, sample_size = 1, max_time = 3)]
fn parsing(bencher: Bencher<'_, '_>, row: &Row) {
    measure(bencher, row);
}

#[divan::bench(name = "apply", args = apply::ROWS, sample_size = 1, max_time = 3)]
fn applying(bencher: Bencher<'_, '_>, row: &Row) {
    measure(bencher, row);
}

#[divan::bench(name = "close", args = close::ROWS, sample_size = 1, max_time = 3)]
fn closing(bencher: Bencher<'_, '_>, row: &Row) {
    measure(bencher, row);
}

#[divan::bench(name = "encode", args = encode::ROWS, sample_size = 1, max_time = 3)]
fn encoding(bencher: Bencher<'_, '_>, row: &Row) {
    measure(bencher, row);
}

fn measure(bencher: Bencher<'_, '_>, row: &Row) {
    let routine = RefCell::new((row.make)(Scale::FULL));
    let units = routine.borrow().units();
    bencher
        .counter(ItemsCount::new(units))
        .with_inputs(|| routine.borrow_mut().prepare())
        .bench_local_values(|()| routine.borrow_mut().run());
}
