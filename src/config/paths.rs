//! Finds paths that a configuration gives twice. Two parts of one server would overwrite each
//! other's data there. Pure.
//!
//! Paths are compared as they are written. Two different paths to the same file, through a link,
//! are found later, when the server locks the second one.

use std::path::{Component, Path, PathBuf};

use super::ini::{Flaw, IniSection, SettingPlace};
use super::model::Config;
use crate::few::sort_few;
use crate::stdio::OUTPUT_NAMES;

/// A file that the server creates because of a key, or a folder whose whole content it owns.
struct Claim {
    section: &'static str,
    key: &'static str,
    path: PathBuf,
    is_folder: bool,
}

/// Returns the mistakes. Each is reported at the line of the later of the two keys. A key creates
/// several files, but each pair of keys is reported once.
pub(super) fn clashes(config: &Config, sections: &[IniSection]) -> Vec<Flaw> {
    let claims = claims(config);
    let mut flaws: Vec<Flaw> = Vec::new();
    for (at, second) in claims.iter().enumerate() {
        for first in claims[..at].iter().filter(|first| first.clashes_with(second)) {
            let mut pair =
                [(place_of(first, sections), first), (place_of(second, sections), second)];
            sort_few(&mut pair, |a, b| a.0.cmp(&b.0));
            let [(_, earlier), (place, later)] = pair;
            let what = format!(
                "[{}] {}: expected another path than that of [{}] {}, both would overwrite {}",
                later.section,
                later.key,
                earlier.section,
                earlier.key,
                if second.is_folder { first.path.display() } else { second.path.display() },
            );
            let flaw = Flaw { place, what };
            let is_known = |known: &Flaw| {
                known.place == flaw.place
                    && known.what.split(',').next() == flaw.what.split(',').next()
            };
            if !flaws.iter().any(is_known) {
                flaws.push(flaw);
            }
        }
    }
    flaws
}

/// Returns the paths of all files and folders that a configuration makes the server create. Files
/// come before folders.
fn claims(config: &Config) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut claim = |section, key, path: PathBuf, is_folder| {
        claims.push(Claim { section, key, path: normal(&path), is_folder });
    };
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    if let Some(path) = &config.state.file {
        for suffix in ["", ".new", ".old", ".damaged", ".lock"] {
            claim("statsd", "state_file", beside(path, suffix), false);
        }
    }
    for (key, path) in [("stream", &config.unix.stream), ("datagram", &config.unix.datagram)] {
        for (path, suffix) in path.iter().flat_map(|path| [(path, ""), (path, ".lock")]) {
            claim("unix", key, beside(path, suffix), false);
        }
    }
    let key_flush = config.key_flush.interval.and(config.key_flush.log.as_ref());
    if let Some(path) = key_flush {
        claim("key_flush", "log", path.clone(), false);
    }
    if key_flush.is_some() && config.has_console() {
        OUTPUT_NAMES.iter().for_each(|path| claim("console", "enabled", path.into(), false));
    }
    if let Some(dir) = &config.spool.dir {
        for destination in config.active_destinations().filter(|to| to.spooled_format().is_some()) {
            claim("spool", "dir", dir.join(&destination.name), true);
        }
    }
    claims
}

impl Claim {
    /// Whether the two would overwrite each other. Claims of the same key never do: the folders of
    /// two destinations have different names.
    fn clashes_with(&self, other: &Self) -> bool {
        if (self.section, self.key) == (other.section, other.key) {
            return false;
        }
        // Two cases: a file inside a folder of the spool, and a file where a folder must be.
        let with_folder = |file: &Self, folder: &Self| {
            file.path.starts_with(&folder.path) || folder.path.starts_with(&file.path)
        };
        match (self.is_folder, other.is_folder) {
            (false, true) => with_folder(self, other),
            (true, false) => with_folder(other, self),
            _ => self.path == other.path,
        }
    }
}

/// Removes `.` and doubled slashes from a path.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Returns the place of the key of a claim.
fn place_of(claim: &Claim, sections: &[IniSection]) -> SettingPlace {
    let section = sections.iter().find(|section| section.name == claim.section);
    section
        .and_then(|section| section.entry(claim.key))
        .map_or(SettingPlace::START, |entry| entry.place)
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{config, mistakes};

    #[test]
    fn one_path_for_two_things_is_a_mistake_that_names_both() {
        for (text, keys) in [
            (
                "[statsd]\nstate_file = x\n[key_flush]\ninterval = 1m\nlog = ./x\n",
                "t.conf:5: [key_flush] log: expected another path than that of [statsd] state_file",
            ),
            (
                "[key_flush]\ninterval = 1m\nlog = /v/x.new\n[statsd]\nstate_file = /v//x\n",
                "t.conf:5: [statsd] state_file: expected another path than that of [key_flush] log",
            ),
            (
                "[unix]\nstream = /run/s\ndatagram = /run/s\n",
                "t.conf:3: [unix] datagram: expected another path than that of [unix] stream",
            ),
            (
                "[unix]\nstream = /run/s\ndatagram = /run/s.lock\n",
                "t.conf:3: [unix] datagram: expected another path than that of [unix] stream",
            ),
            (
                "[statsd]\nstate_file = /v/carbon\n[spool]\ndir = /v\n",
                "t.conf:4: [spool] dir: expected another path than that of [statsd] state_file",
            ),
            (
                "[statsd]\nstate_file = /v/carbon/released\n[spool]\ndir = /v\n",
                "t.conf:4: [spool] dir: expected another path than that of [statsd] state_file",
            ),
            (
                "[statsd]\nstate_file = /v\n[spool]\ndir = /v\n",
                "t.conf:4: [spool] dir: expected another path than that of [statsd] state_file",
            ),
            (
                "[console]\nenabled = yes\n[key_flush]\ninterval = 1m\nlog = /dev/stdout\n",
                "t.conf:5: [key_flush] log: expected another path than that of [console] enabled",
            ),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(keys), "{text}: {found:?}");
        }
    }

    #[test]
    fn paths_beside_each_other_are_none() {
        config(
            "[statsd]\nstate_file = /v/state\n[spool]\ndir = /v\n[unix]\nstream = /v/s\n\
             datagram = /v/d\n[key_flush]\nlog = /v/state\n[console]\nenabled = yes\n",
        );
        config("[statsd]\nstate_file = /v/carbon\n[spool]\ndir = /v\n[carbon]\naddress =\n");
    }
}
