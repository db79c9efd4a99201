//! Tests of the pure core: bytes and a clock value in, bytes out. No test here opens a socket,
//! starts a process or waits.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod reading;
mod rig;

mod aliases;
mod batches;
mod binary;
mod bounds;
mod clients;
mod docs;
mod explain;
mod fair_budget;
mod figures;
mod full_table;
mod fuzz_corpus;
mod golden;
mod import;
mod interned;
mod junk;
mod lading;
mod lifecycle;
mod man_pages;
mod mapping;
mod micro;
mod protocol;
mod raw;
mod reloads;
mod rules;
mod sections;
mod state;
mod sweep;
mod tags;
mod totals;
mod vectors;
