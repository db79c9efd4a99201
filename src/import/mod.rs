//! `statsd --import FILE`: makes a `statsd.conf` from the configuration of another server. Pure,
//! except for [`load`].
//!
//! ```text
//! load ──text──▶ javascript, toml, yaml, ini ──values──▶ old ──settings──▶ node, … ──▶ draft
//! ```
//! `config` finds out which server a text belongs to. A reader of the syntax makes values of it
//! (`syntax`), and `old` makes settings of these, each with its path and line. A file for each
//! server moves the settings to the draft (`transfer`). What it does not take becomes a remark, so
//! no setting is dropped without a word. The draft prints only what this server's own parser
//! accepts.
//!
//! The readers take what the files of these servers have, not the whole of a syntax. Files may be
//! hostile, so their size, their depth and the number of their values are bounded.

mod node;
mod statsite;
mod statsdpy;
mod brubeck;
mod telegraf;
mod gostatsd;
mod exporter;
mod transfer;
mod draft;
mod old;
mod javascript;
mod toml;
mod yaml;
mod ini;
mod syntax;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use self::draft::Draft;
use self::old::OldFile;
use self::syntax::{ParsedValue, SyntaxFlaw};
use self::transfer::Transfer;
use crate::config::{self, ForeignServer};

/// Bytes of a file. The sample configuration of telegraf has 500 KB.
const FILE_MAX: u64 = 2 << 20;
/// Settings of a file.
const SETTINGS_MAX: usize = 10_000;

/// Why a file could not be imported.
#[derive(Debug)]
pub enum ImportError {
    Unreadable(io::Error),
    /// It belongs to no server that is known.
    Unknown,
    /// It belongs to a program whose files are recognised, but not imported.
    NotImported(&'static str),
    /// What is wrong, with its line.
    Syntax(usize, String),
}

impl ImportError {
    /// Returns the exit code: 1 if the file cannot be read, 2 if its text is wrong.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable(_) => 1,
            _ => 2,
        }
    }

    /// Returns the message about the file.
    pub fn message(&self, file: &Path) -> String {
        format!("{}{self}", file.display())
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = "Node StatsD, statsite, statsdpy, brubeck, telegraf, gostatsd and \
                       statsd_exporter";
        match self {
            Self::Unreadable(error) => write!(out, ": cannot read the file: {error}"),
            Self::Unknown => write!(
                out,
                ": this is no configuration that can be imported; --import reads those of {servers}"
            ),
            Self::NotImported(program) => write!(
                out,
                ": this is a configuration of {program}, which --import does not read; it reads \
                 those of {servers}"
            ),
            Self::Syntax(line, what) => write!(
                out,
                ":{line}: {what}; correct the line or remove it, and import the file again"
            ),
        }
    }
}

/// Reads a file. It waits for the end of a pipe.
pub fn load(path: &Path) -> Result<Vec<u8>, ImportError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut text));
    read.map_err(ImportError::Unreadable)?;
    if text.len() as u64 > FILE_MAX {
        let what = "it is larger than 2m, the most that can be imported";
        return Err(ImportError::Unreadable(io::Error::new(io::ErrorKind::FileTooLarge, what)));
    }
    Ok(text)
}

/// Returns the `statsd.conf` that has the settings of an old configuration. `file` is only used in
/// its first comment.
pub fn import(file: &Path, text: &[u8]) -> Result<String, ImportError> {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let server = config::foreign_server(text).ok_or(ImportError::Unknown)?;
    let (name, draft) = drafted(server, text)?;
    let file = file.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    let title = format!(
        "Imported from {file}, a configuration of {name}, by statsd --import.\n\
         The comment above a key names the setting that the key comes from, with its line.\n\
         Next: `statsd --check -c statsd.conf`, and docs/migrating.md."
    );
    Ok(draft.finish(&title))
}

/// How the configurations of one server are imported.
struct Importer {
    /// The name of the server.
    name: &'static str,
    /// Reads the syntax of its files.
    read: fn(&str) -> Result<ParsedValue, SyntaxFlaw>,
    /// Moves the settings that have an equal.
    transfer: fn(&mut Transfer),
    /// Returns the reason for a path that has no equal.
    reason: fn(&str) -> &'static str,
}

/// Makes the importer of a server from its name, the reader of the syntax, and its module.
macro_rules! importer {
    ($name:literal, $syntax:ident, $server:ident) => {
        Importer {
            name: $name,
            read: $syntax::read,
            transfer: $server::transfer,
            reason: $server::reason,
        }
    };
}

/// Reads the text of a server's configuration. Returns the server's name and the draft.
fn drafted(server: ForeignServer, text: &str) -> Result<(&'static str, Draft), ImportError> {
    let Importer { name, read, transfer, reason } = match server {
        ForeignServer::Node => importer!("Node StatsD", javascript, node),
        ForeignServer::Statsite => importer!("statsite", ini, statsite),
        ForeignServer::Statsdpy => importer!("statsdpy", ini, statsdpy),
        ForeignServer::Brubeck => importer!("brubeck", javascript, brubeck),
        ForeignServer::Telegraf => importer!("telegraf", toml, telegraf),
        ForeignServer::Gostatsd => importer!("gostatsd", toml, gostatsd),
        ForeignServer::Exporter => importer!("statsd_exporter", yaml, exporter),
        ForeignServer::Other(name) => return Err(ImportError::NotImported(name)),
    };
    let flaw = |SyntaxFlaw { line, what }| ImportError::Syntax(line, what);
    let old = OldFile::new(read(text).map_err(flaw)?);
    if old.len() > SETTINGS_MAX {
        let what = format!("expected at most {SETTINGS_MAX} settings in a file");
        return Err(ImportError::Syntax(1, what));
    }
    let mut to = Transfer::new(old);
    transfer(&mut to);
    Ok((name, to.finish(reason)))
}
