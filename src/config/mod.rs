//! `statsd.conf` to settings, and back.
//!
//! ```text
//! load ──bytes──▶ ini ──sections──▶ parse ──key, text──▶ value, address ──▶ model ──▶ render
//! ```
//! `load` finds the file and reads it. All else is pure. `keys` is the one table of what there is,
//! and `manual` explains it. `change` tells what a reload changes.

mod load;
mod parse;
mod render;
mod change;
mod model;
mod destination;

mod access;
mod address;
mod hints;
mod histogram;
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
