//! Tests of the bench: its library, its sender and its comparison.
#![allow(clippy::disallowed_methods, reason = "the bench may have threads")]

mod compare;
mod loopback;
