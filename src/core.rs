//! The pure half of the server: bytes and clock values in, bytes out. `lib.rs` has the overview.
//!
//! It is a package of its own (`src/Cargo.toml`) for two reasons. It cannot use a socket or a file,
//! since no dependency of it opens one. And it alone is optimised for speed: most of the rest runs
//! seldom, and is optimised for size.

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
