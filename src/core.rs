//! The pure half of the server: bytes and clock values in, bytes out. `lib.rs` has the overview.
//!
//! It is a package of its own (`src/Cargo.toml`), because it alone is optimised for speed. Most of
//! the rest runs seldom, and is optimised for size. What is here reads and writes no socket and no
//! file.

// A module may import only from the modules after it in this list, as in `lib.rs`.
pub mod engine;
pub mod history;
pub mod ledger;
pub mod warnings;
pub mod encode;
pub mod flush;
pub mod series;
pub mod policy;
pub mod protocol;

pub mod few;
pub mod sender;
pub mod wire;
pub mod time;
