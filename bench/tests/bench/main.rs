//! Tests of the bench: its library, its sender and its comparison.

mod compare;
mod loopback;
