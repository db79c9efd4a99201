//! The configuration: turns the text of `statsd.conf` into a [`Config`], and back.
//!
//! ```text
//! load ──bytes──▶ ini ──sections──▶ parse ──key, text──▶ value, address ──▶ model ──▶ render
//! ```
//! `load` finds the file and reads it. All other files are pure. `keys` is the one table of all
//! keys, and `manual` explains each of them. `change` finds what a reload changes, and what it can
//! apply. A new key needs a row in `keys`, a field in `model` and a text in `manual`.

mod load;
mod parse;
mod render;
mod change;
mod model;
mod destination;

mod address;
mod hints;
mod ini;
mod key;
mod keys;
mod limits;
mod manual;
mod paths;
mod rules;
mod sections;
mod value;

pub use change::{applicable, difference};
pub use destination::{
    CONSOLE, Carbon, Console, Destination, DestinationKind, Exec, Influxdb, Layout, Net, Over,
    Protocol, Queue, Remote, Repeater, Resend, Takes,
};
pub use ini::Mistake;
pub use key::{Key, KeyUse};
pub use keys::KEYS;
pub use load::{Failure, Origin, PLACES, Unreadable, find, load, reload};
pub use model::{Admin, Bind, Config, KeyFlush, Spool, State, Tcp, Udp, Unix};
pub use parse::parse;
pub use render::{example, render, render_masked};
