//! Finds the configuration file and reads it. No other file of this folder uses the disk.
//!
//! A start reads a file of any kind: a regular file, `/dev/null`, or a pipe such as `<(…)` makes. A
//! reload happens while the server runs, so it must not wait. It reads regular files only, and
//! refuses a file that looks half written.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::destination::DestinationKind;
use super::ini::{self, GivenSettings, Mistake};
use super::limits::FILE_MAX;
use super::memory;
use super::model::Config;
use super::overrides::Overrides;
use super::parse::{parse_admin, parse_with_places};
use crate::files;
use crate::memory_limit::MemoryLimit;

/// Reads the file that `find` finds, for a start, and sets `overrides` over it. Without a file,
/// they are set over the defaults.
pub fn load(explicit: Option<&Path>, overrides: Overrides) -> Result<(Config, Origin), LoadError> {
    load_with(explicit, overrides, read_secrets)
}

/// As [`load`], but leaves passwords and tokens in their files. Users who may not read those files
/// can still send commands to the server.
pub fn load_without_secrets(
    explicit: Option<&Path>,
    overrides: Overrides,
) -> Result<(Config, Origin), LoadError> {
    load_with(explicit, overrides, |_| Ok(()))
}

/// As [`load_without_secrets`], but for `--ask`, which needs `[admin]` alone. If the configuration
/// has mistakes elsewhere, they are in [`Origin::mistakes`]: the server that runs does not have
/// them.
pub fn load_to_ask(
    explicit: Option<&Path>,
    overrides: Overrides,
) -> Result<(Config, Origin), LoadError> {
    let failure = match load_without_secrets(explicit, overrides.clone()) {
        Err(LoadError::Mistakes(mistakes)) => mistakes,
        result => return result,
    };
    let Some((path, text)) = find(explicit)? else { return Err(LoadError::Mistakes(failure)) };
    match parse_admin(&path, &text, &overrides) {
        Ok((config, given)) => {
            let file = Some(ConfigFile { path, ended: text.ends_with(b"\n") });
            Ok((config, Origin { file, overrides, given, mistakes: failure }))
        }
        Err(_) => Err(LoadError::Mistakes(failure)),
    }
}

type ReadSecrets = fn(&mut Config) -> Result<(), UnreadableSecret>;

fn load_with(
    explicit: Option<&Path>,
    overrides: Overrides,
    secrets: ReadSecrets,
) -> Result<(Config, Origin), LoadError> {
    let (file, text) = match find(explicit)? {
        Some((path, text)) => (Some(ConfigFile { path, ended: text.ends_with(b"\n") }), text),
        None => (None, Vec::new()),
    };
    read_config(file, &text, overrides, secrets)
}

/// Reads the text of `file`, with `overrides` over it.
fn read_config(
    file: Option<ConfigFile>,
    text: &[u8],
    overrides: Overrides,
    secrets: ReadSecrets,
) -> Result<(Config, Origin), LoadError> {
    let path = file.as_ref().map_or_else(|| Path::new("the defaults"), |file| &file.path);
    let (mut config, given) = parse_with_places(path, text, &overrides)?;
    let derived = memory::derive(&mut config, &given, MemoryLimit::of_process());
    let secrets = secrets(&mut config);
    let origin = Origin { file, overrides, given, mistakes: Vec::new() };
    let unreadable = |UnreadableSecret { section, key, reason }| {
        let place = origin.place(&section, key);
        Mistake { place, what: format!("[{section}] {key}: {reason}") }
    };
    secrets.map_err(|unread| vec![unreadable(unread)])?;
    derived.map_err(|what| {
        let place = origin.place("limits", "max_memory");
        vec![Mistake { place, what: format!("[limits] max_memory: {what}") }]
    })?;
    Ok((config, origin))
}

/// Whether the text of a file sets a key or has a mistake. A text with neither is empty, or an
/// editor has only begun to write it.
fn sets_a_key(text: &[u8]) -> bool {
    let ini::Document { sections, flaws } = ini::read(text);
    !flaws.is_empty() || sections.iter().any(|section| !section.entries.is_empty())
}

/// A secret that could not be read from its file.
struct UnreadableSecret {
    section: String,
    key: &'static str,
    reason: String,
}

/// Reads the files that contain passwords and tokens.
fn read_secrets(config: &mut Config) -> Result<(), UnreadableSecret> {
    for destination in &mut config.destinations {
        let DestinationKind::Influxdb(influxdb) = &mut destination.kind else { continue };
        let secrets =
            [("password_file", &mut influxdb.password), ("token_file", &mut influxdb.token)];
        for (key, secret) in secrets {
            let Some(path) = &secret.file else { continue };
            secret.read = read_secret(path).map_err(|reason| {
                let reason = format!("cannot read {}: {reason}", path.display());
                UnreadableSecret { section: destination.name.clone(), key, reason }
            })?;
        }
    }
    Ok(())
}

/// Reads the one line of a file. It must be a regular file, since reading any other may block the
/// loop at a reload.
fn read_secret(path: &Path) -> io::Result<String> {
    let text = files::contents(&files::open_regular(path)?, 4096)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let line = text.trim_end_matches(['\r', '\n']);
    // A line break would end a field of the request.
    if line.is_empty() || line.contains(|letter: char| !letter.is_ascii_graphic() && letter != ' ')
    {
        return Err(io::Error::other("expected one line of printable ASCII characters"));
    }
    Ok(line.into())
}

/// Reads the file again from which the current configuration was read. If the server was started
/// without a file, it looks for one in `DEFAULT_PATHS`.
///
/// An editor or a tool may be writing the file at this moment. So a file that sets no key is
/// refused. A file without a newline at its end is refused if the file before had one. A missing
/// file is an error. At a start it means the defaults, but here they would move a running server to
/// other addresses.
///
/// The environment and the options of the process are as they were at its start.
pub fn reload(in_force: &Origin) -> Result<(Config, Origin), LoadError> {
    let (path, text) = match &in_force.file {
        Some(file) => (file.path.clone(), read_file(&file.path)?),
        None => find_in(&DEFAULT_PATHS.map(Path::new), read_file)?.ok_or(LoadError::NoFile)?,
    };
    let ended = text.ends_with(b"\n");
    let refuse = |reason| Err(LoadError::Unfinished { path: path.clone(), reason });
    if !sets_a_key(&text) {
        return refuse("it sets no key, and only a start takes an empty file for the defaults");
    }
    if !ended && in_force.file.as_ref().is_some_and(|file| file.ended) {
        return refuse("it ends without a newline, and the file in force ended with one");
    }
    read_config(Some(ConfigFile { path, ended }), &text, in_force.overrides.clone(), read_secrets)
}

/// Where a configuration came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `None` if no file was named, and none of [`DEFAULT_PATHS`] exists.
    file: Option<ConfigFile>,
    overrides: Overrides,
    /// The keys that the file and the overrides set.
    given: GivenSettings,
    /// What [`load_to_ask`] has found wrong.
    mistakes: Vec<Mistake>,
}

/// The file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ConfigFile {
    path: PathBuf,
    /// The text ended with a newline.
    ended: bool,
}

/// Where the server searches for the file if none is named. The first one that exists is read.
const DEFAULT_PATHS: [&str; 2] = ["./statsd.conf", "/etc/statsd.conf"];

const LARGEST_FILE: u64 = FILE_MAX as u64;

/// How long a start waits until a pipe or a terminal has sent the whole configuration.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the path of the file and its text, or `None` if there is no file. If a file exists but
/// cannot be read, that is an error, and the next place is not tried: the server would run with
/// another configuration than the operator expects.
fn find(explicit: Option<&Path>) -> Result<Option<(PathBuf, Vec<u8>)>, UnreadableFile> {
    match explicit {
        Some(path) => read(path).map(|text| Some((path.into(), text))),
        None => find_in(&DEFAULT_PATHS.map(Path::new), read),
    }
}

/// Reads the first of these places that exists.
fn find_in(
    places: &[&Path],
    read: fn(&Path) -> Result<Vec<u8>, UnreadableFile>,
) -> Result<Option<(PathBuf, Vec<u8>)>, UnreadableFile> {
    for &path in places {
        match read(path) {
            Err(missing) if missing.reason.kind() == ErrorKind::NotFound => {}
            found => return found.map(|text| Some((path.into(), text))),
        }
    }
    Ok(None)
}

/// Reads a file of any kind to its end, within [`PATIENCE`].
fn read(path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    let text = files::open_any(path).and_then(|file| read_patiently(&file, PATIENCE));
    text.map_err(|reason| UnreadableFile { path: path.into(), reason })
}

/// Reads a regular file. Any other kind is refused, because reading it may block the loop.
fn read_file(path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    let text = files::open_regular(path).and_then(|file| files::contents(&file, LARGEST_FILE));
    text.map_err(|reason| match reason.kind() {
        ErrorKind::FileTooLarge => UnreadableFile { path: path.into(), reason: too_large() },
        _ => UnreadableFile { path: path.into(), reason },
    })
}

/// Reads `file`, which must not block, to its end, within `patience`. A read of a FIFO returns no
/// bytes in two cases: at the end, and before a writer has opened it. The poll distinguishes them,
/// because it reports no event before there is a writer.
#[allow(clippy::disallowed_methods)] // the server's clocks do not run yet
fn read_patiently(mut file: &File, patience: Duration) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    let began = Instant::now();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).map_err(io::Error::other)?;
        match poll(&mut files, timeout) {
            Ok(0) => {
                let what = format!("it did not end within {} s", patience.as_secs());
                return Err(io::Error::new(ErrorKind::TimedOut, what));
            }
            Err(nix::errno::Errno::EINTR) => continue,
            other => _ = other?,
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(text),
            Ok(bytes) => text.extend_from_slice(&piece[..bytes]),
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        if text.len() as u64 > LARGEST_FILE {
            return Err(too_large());
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(
        ErrorKind::FileTooLarge,
        "it is larger than 512k, the most that a configuration may have",
    )
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    Unreadable(UnreadableFile),
    /// At least one, in the order of their lines.
    Mistakes(Vec<Mistake>),
    /// A reload read a file that may still be being written.
    Unfinished {
        path: PathBuf,
        reason: &'static str,
    },
    /// A server that was started without a file was reloaded, and there is still none.
    NoFile,
}

/// A file that could not be read, and why.
#[derive(Debug)]
pub struct UnreadableFile {
    pub path: PathBuf,
    pub reason: io::Error,
}

impl LoadError {
    /// Returns the exit code: 1 if the file is missing or cannot be read, 2 if its text is wrong.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable(_) | Self::NoFile => 1,
            Self::Mistakes(_) | Self::Unfinished { .. } => 2,
        }
    }
}

impl Origin {
    /// Returns what [`load_to_ask`] has found wrong. Empty for every other configuration.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Returns the origin of a configuration that was read from `path` alone.
    pub fn of_file(path: &Path, given: GivenSettings) -> Self {
        Self::new(path, Overrides::NONE, given)
    }

    /// Returns the origin of a configuration that was read from `path`, with `overrides` over it.
    pub(super) fn new(path: &Path, overrides: Overrides, given: GivenSettings) -> Self {
        let file = ConfigFile { path: path.into(), ended: true };
        Self { file: Some(file), overrides, given, mistakes: Vec::new() }
    }

    /// Returns the file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| &*file.path)
    }

    /// Whether nothing was configured: no file, no variable, no option.
    pub fn is_default(&self) -> bool {
        self.file.is_none() && self.overrides.is_empty()
    }

    /// Returns the keys that are set.
    pub fn given(&self) -> &GivenSettings {
        &self.given
    }

    /// Returns where a key is: `statsd.conf:3`, the name of a variable or an option, or the file
    /// alone if the key is not set.
    pub fn place(&self, section: &str, key: &str) -> String {
        let path = self.path().unwrap_or_else(|| Path::new("the defaults"));
        match self.given.place(section, key) {
            Some(place) => self.overrides.show(path, place),
            None => path.display().to_string(),
        }
    }
}

impl From<UnreadableFile> for LoadError {
    fn from(unreadable: UnreadableFile) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Vec<Mistake>> for LoadError {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => unreadable.fmt(out),
            Self::Mistakes(mistakes) => {
                let lines: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
                out.write_str(&lines.join("\n"))
            }
            Self::Unfinished { path, reason } => write!(
                out,
                "{} looks half written: {reason}; write the whole file under another name, rename it into place, and reload again",
                path.display()
            ),
            Self::NoFile => write!(
                out,
                "no configuration file was found at the start, and there is still none: no {}",
                DEFAULT_PATHS.join(", no ")
            ),
        }
    }
}

impl fmt::Display for UnreadableFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        let path = path.display();
        write!(out, "cannot read {path}: {reason}; ")?;
        if reason.kind() == ErrorKind::FileTooLarge {
            write!(out, "if it is of another server, `statsd --import {path}` reads up to 2m")
        } else {
            out.write_str("make it readable, or name another with -c")
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => file.path.display().fmt(out),
            None if self.overrides.is_empty() => {
                write!(out, "the defaults, because {} do not exist", DEFAULT_PATHS.join(" and "))
            }
            None => out.write_str("the environment and the options, without a file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_first_place_with_a_file_is_taken_and_none_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.conf", "b.conf"].map(|name| folder.path().join(name));
        let found = || find_in(&[&first, &second], read).unwrap();
        assert_eq!(found(), None);
        fs::write(&second, "two").unwrap();
        assert_eq!(found(), Some((second.clone(), b"two".to_vec())));
        fs::write(&first, "one\n").unwrap();
        assert_eq!(found(), Some((first.clone(), b"one\n".to_vec())));
    }

    #[test]
    fn an_unreadable_file_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.conf");
        let failure = load(Some(&missing), Overrides::NONE).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        let expected = format!("cannot read {}: No such file or directory", missing.display());
        assert!(failure.to_string().starts_with(&expected), "{failure}");
        let passed_over = find_in(&[folder.path(), &missing], read);
        assert!(passed_over.unwrap_err().to_string().contains("Is a directory"));
        let endless = find(Some(Path::new("/dev/zero")));
        let endless = endless.unwrap_err().to_string();
        let hint = "; if it is of another server, `statsd --import /dev/zero` reads up to 2m";
        assert!(endless.contains("larger than 512k") && endless.ends_with(hint), "{endless}");
    }

    #[test]
    fn mistakes_are_another_failure_than_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statsd.conf");
        fs::write(&path, "[statsd]\nflush_interval = 0\nalign_flush = perhaps\n").unwrap();
        let failure = load(Some(&path), Overrides::NONE).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(failure.to_string().lines().count(), 2);
        fs::write(&path, "[statsd]\npercentiles = 50\n").unwrap();
        let (config, origin) = load(Some(&path), Overrides::NONE).unwrap();
        assert_eq!(config.rules.base.percentiles.len(), 1);
        assert_eq!(origin.place("statsd", "percentiles"), format!("{}:2", path.display()));
        assert_eq!(origin.path(), Some(&*path));
    }

    fn fifo() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        (folder, path)
    }

    #[test]
    fn a_start_waits_for_a_pipe_for_a_while() {
        let (_folder, path) = fifo();
        let file = files::open_any(&path).unwrap();
        let failed = read_patiently(&file, Duration::from_millis(20)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut, "no writer");
        let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"[tcp]\n").unwrap();
        let failed = read_patiently(&file, Duration::from_millis(20)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut, "no end");
        writer.write_all(b"[udp]\n").unwrap();
        drop(writer);
        assert_eq!(read_patiently(&file, PATIENCE).unwrap(), b"[udp]\n");
        assert_eq!(read(Path::new("/dev/null")).unwrap(), b"");
    }

    #[test]
    fn secrets_are_read_from_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let [path, secret] = ["statsd.conf", "secret"].map(|name| folder.path().join(name));
        let text = format!(
            "[influxdb.b]\naddress = a\nversion = 2\ntoken = x\ntoken_file = {}\n",
            secret.display()
        );
        fs::write(&path, text).unwrap();
        for (found, expected) in [
            (Some("t0ken==\n"), Ok("t0ken==")),
            (Some("two words"), Ok("two words")),
            (Some(""), Err("expected one line of printable ASCII characters")),
            (Some("a\nb\n"), Err("expected one line of printable ASCII characters")),
            (None, Err("No such file or directory")),
        ] {
            let _ = fs::remove_file(&secret);
            if let Some(text) = found {
                fs::write(&secret, text).unwrap();
            }
            assert!(load_without_secrets(Some(&path), Overrides::NONE).is_ok());
            match (load(Some(&path), Overrides::NONE), expected) {
                (Ok((config, _)), Ok(expected)) => {
                    let tokens: Vec<_> = config
                        .active_destinations()
                        .filter_map(|to| match &to.kind {
                            DestinationKind::Influxdb(influxdb) => Some(influxdb.token.text()),
                            _ => None,
                        })
                        .collect();
                    assert_eq!(tokens, [expected]);
                }
                (Err(failure), Err(reason)) => {
                    let failure = failure.to_string();
                    let place = format!("{}:5: [influxdb.b] token_file: cannot", path.display());
                    assert!(failure.starts_with(&place) && failure.contains(reason), "{failure}");
                }
                (other, _) => panic!("{found:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_reload_takes_a_whole_regular_file_or_none() {
        let (folder, fifo) = fifo();
        let path = folder.path().join("statsd.conf");
        let good = "[statsd]\npercentiles = 50\n";
        fs::write(&path, good).unwrap();
        let (_, origin) = load(Some(&path), Overrides::NONE).unwrap();
        for (text, why) in [
            ("", "it sets no key"),
            ("# nothing yet\n[udp]\n", "it sets no key"),
            ("[statsd]\npercentiles = 5", "it ends without a newline"),
            ("[statsd]\npercentiles = 50\n\0\0\0\n", "NUL"),
            ("[statsd]\npercentiles = 50\n# \0\n", "NUL"),
        ] {
            fs::write(&path, text).unwrap();
            let failure = reload(&origin).unwrap_err().to_string();
            assert!(failure.contains(why), "{text:?}: {failure}");
        }
        fs::write(&path, good).unwrap();
        assert_eq!(reload(&origin).unwrap().1, origin);
        let link = folder.path().join("link.conf");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        // A configuration may be a symbolic link.
        reload(&Origin::of_file(&link, GivenSettings::default())).unwrap();
        for (path, why) in [
            (fifo, "is a FIFO"),
            ("/dev/null".into(), "is a device"),
            (folder.path().into(), "is a folder"),
        ] {
            let failure =
                reload(&Origin::of_file(&path, GivenSettings::default())).unwrap_err().to_string();
            assert!(failure.contains(why), "{failure}");
        }
    }

    #[test]
    fn a_file_that_never_ended_with_a_newline_need_not_do_so_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statsd.conf");
        fs::write(&path, "").unwrap();
        let (_, origin) = load(Some(&path), Overrides::NONE).unwrap();
        fs::write(&path, "[statsd]\npercentiles = 50").unwrap();
        let (config, origin) = reload(&origin).unwrap();
        assert_eq!(config.rules.base.percentiles.len(), 1);
        assert_eq!(origin.file, Some(ConfigFile { path, ended: false }));
    }
}
