//! Which file is the configuration, and reading it. The only file of the folder that touches the disk.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::limits::FILE_MAX;
use super::{Config, Mistake, parse};

/// Reads the file that [`find`] names, or takes the defaults where there is none.
pub fn load(explicit: Option<&Path>) -> Result<(Config, Origin), Failure> {
    match find(explicit)? {
        (Origin::Defaults, _) => Ok((Config::default(), Origin::Defaults)),
        (Origin::File(path), text) => Ok((parse(&path, &text)?, Origin::File(path))),
    }
}

/// Where a configuration came from, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    /// No file was named, and none of [`PLACES`] exists.
    Defaults,
}

/// Where the file is looked for when none is named, first found first taken.
pub const PLACES: [&str; 2] = ["./statsd.conf", "/etc/statsd.conf"];

const LARGEST_FILE: u64 = FILE_MAX as u64;

/// The file and its text. A file that is there but cannot be read is never passed over.
pub fn find(explicit: Option<&Path>) -> Result<(Origin, Vec<u8>), Unreadable> {
    match explicit {
        Some(path) => read(path).map(|text| (Origin::File(path.into()), text)),
        None => find_in(&PLACES.map(Path::new)),
    }
}

fn find_in(places: &[&Path]) -> Result<(Origin, Vec<u8>), Unreadable> {
    for &path in places {
        match read(path) {
            Err(missing) if missing.reason.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(|text| (Origin::File(path.into()), text)),
        }
    }
    Ok((Origin::Defaults, Vec::new()))
}

fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text))
        .and_then(|size| match size as u64 > LARGEST_FILE {
            true => Err(io::Error::other(
                "it is larger than 128k, the most that a reload can read at once",
            )),
            false => Ok(text),
        })
        .map_err(|reason| Unreadable { path: path.into(), reason })
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Failure {
    Unreadable(Unreadable),
    /// In the order of their lines; at least one.
    Mistakes(Vec<Mistake>),
}

/// A file that could not be read, and why.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub reason: io::Error,
}

impl Failure {
    /// 1 where the machine is at fault, 2 where the file is.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable(_) => 1,
            Self::Mistakes(_) => 2,
        }
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => unreadable.fmt(out),
            Self::Mistakes(mistakes) => {
                let lines: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
                out.write_str(&lines.join("\n"))
            }
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        write!(
            out,
            "cannot read {}: {reason}; make it readable, or name another with -c",
            path.display()
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::Defaults => write!(out, "the defaults, for want of {}", PLACES.join(" and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_with_a_file_is_taken_and_none_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.conf", "b.conf"].map(|name| folder.path().join(name));
        let found = || find_in(&[&first, &second]).unwrap();
        assert_eq!(found(), (Origin::Defaults, vec![]));
        std::fs::write(&second, "two").unwrap();
        assert_eq!(found(), (Origin::File(second.clone()), b"two".to_vec()));
        std::fs::write(&first, "one").unwrap();
        assert_eq!(found(), (Origin::File(first.clone()), b"one".to_vec()));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.conf");
        let failure = load(Some(&missing)).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        let expected = format!("cannot read {}: No such file or directory", missing.display());
        assert!(failure.to_string().starts_with(&expected), "{failure}");
        let passed_over = find_in(&[folder.path(), &missing]);
        assert!(passed_over.unwrap_err().to_string().contains("Is a directory"));
        let endless = find(Some(Path::new("/dev/zero")));
        assert!(endless.unwrap_err().to_string().contains("larger than 128k"));
    }

    #[test]
    fn mistakes_are_another_failure_than_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statsd.conf");
        std::fs::write(&path, "[statsd]\nflush_interval = 0\nalign_flush = perhaps\n").unwrap();
        let failure = load(Some(&path)).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(failure.to_string().lines().count(), 2);
        std::fs::write(&path, "[statsd]\npercentiles = 50\n").unwrap();
        let (config, origin) = load(Some(&path)).unwrap();
        assert_eq!((config.rules.base.percentiles.len(), origin), (1, Origin::File(path)));
    }
}
