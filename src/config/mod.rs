//! The configuration: turns the text of `statsd.conf` into a [`Config`], and back.
//!
//! ```text
//! load ──bytes──▶ ini ──sections──▶ parse ──key, text──▶ value, address ──▶ model ──▶ render
//! ```
//! `load` finds the file and reads it. All other files are pure. `keys` is the one table of all
//! keys, `defaults` makes a configuration of it, and `manual` explains each key. `memory` derives
//! the limits that the file leaves empty from one number. `lint` warns about values that are legal
//! and probably wrong. `change` finds what a reload changes, and what it can apply. A new key needs
//! a row in `keys`, a field in `model` and a text in `manual`. A new duration also needs a row in
//! `lint/times`.

mod load;
mod parse;
mod render;
mod change;
mod model;
mod destination;
mod lint;

mod address;
mod defaults;
mod foreign;
mod hints;
mod ini;
mod key;
mod keys;
mod limits;
mod memory;
#[cfg(test)]
mod manual;
mod overrides;
mod paths;
mod rules;
mod rule_values;
mod sections;
mod value;

pub use change::{applicable, difference};
pub(crate) use defaults::Defaults;
pub use destination::{
    ApiVersion, BinaryStream, CONSOLE, Carbon, Console, Destination, DestinationFeed,
    DestinationKind, Exec, FlushFeed, InfluxTransport, Influxdb, Layout, Net, Protocol, Queue,
    QueueContract, Remote, Repeater, Resend, Secret,
};
pub(crate) use foreign::{ForeignServer, foreign_server};
pub use ini::{GivenSettings, Mistake, SettingPlace};
pub use key::{Key, KeyUse};
pub use keys::KEYS;
pub(crate) use limits::FILE_MAX;
pub use lint::{ConfigWarning, PassedAddress, Surroundings, warnings};
pub use load::{
    LoadError, Origin, UnreadableFile, load, load_to_ask, load_without_secrets, reload,
};
pub use model::{Admin, Bind, Config, KeyFlush, MetricsShown, Spool, State, Tcp, Udp, Unix};
pub use overrides::{OverrideError, Overrides, key_without_section};
pub use parse::{parse, parse_with_places};
pub(crate) use render::line_of;
pub use render::{example, render, render_masked, render_with_places};
