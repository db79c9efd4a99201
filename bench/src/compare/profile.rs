//! The profile files of servers: the command, its configuration, and the ports it listens on. Pure
//! except for reading the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::setting::Setting;

/// One file of the folder of profiles. `{dir}` and its like in commands and files are filled in at
/// each start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) command: Vec<String>,
    pub(crate) transports: Vec<Transport>,
    /// What a line at carbon begins with whose value is what a counter counted in a flush.
    pub(crate) counts: Option<String>,
    /// TCP has the number of the UDP port.
    #[serde(default)]
    pub(crate) same_port: bool,
    /// What it prints once it is ready.
    pub(crate) ready: Option<String>,
    /// What a line at carbon begins with that tells the longest turn of its loop, in ms.
    pub(crate) turns: Option<String>,
    /// Its program is all of it: the size of that one file is worth telling.
    #[serde(default)]
    one_file: bool,
    /// It is part of the rate sweep.
    #[serde(default)]
    pub(crate) sweep: bool,
    /// Workloads that it is run with; none is all of them.
    #[serde(default)]
    pub(crate) loads: Vec<String>,
    /// It sends anything to carbon.
    #[serde(default = "yes")]
    pub(crate) flushes: bool,
    /// Written to `{dir}` before each start.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What the braces in a profile stand for.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Of the run: configuration and whatever the server writes.
    pub(crate) dir: PathBuf,
    /// Of the repository.
    pub(crate) root: PathBuf,
    /// Of this program, and of the server beside it.
    pub(crate) bin: PathBuf,
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
    pub(crate) admin: u16,
    pub(crate) carbon: u16,
    /// Seconds between flushes.
    pub(crate) interval: u64,
    /// Bytes of receive buffer.
    pub(crate) buffer: usize,
}

impl Places {
    /// Enough to see what of a profile is installed.
    pub(crate) fn nowhere(setting: &Setting) -> Self {
        Self {
            dir: "/nowhere".into(),
            root: setting.root.clone(),
            bin: setting.bin.clone(),
            udp: 0,
            tcp: 0,
            admin: 0,
            carbon: 0,
            interval: setting.interval,
            buffer: setting.buffer,
        }
    }

    /// The text with its braces filled in; other braces stay.
    fn fill(&self, text: &str) -> String {
        let path = |path: &Path| path.display().to_string();
        [
            ("{dir}", path(&self.dir)),
            ("{root}", path(&self.root)),
            ("{bin}", path(&self.bin)),
            ("{udp}", self.udp.to_string()),
            ("{tcp}", self.tcp.to_string()),
            ("{admin}", self.admin.to_string()),
            ("{carbon}", self.carbon.to_string()),
            ("{interval}", self.interval.to_string()),
            ("{buffer}", self.buffer.to_string()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

impl Profile {
    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path:?}: {error}"))?;
        let profile: Self = toml::from_str(&text).map_err(|error| format!("{path:?}: {error}"))?;
        if profile.command.is_empty() {
            Err(format!("{path:?}: the command is empty"))
        } else {
            Ok(profile)
        }
    }

    pub(crate) fn command(&self, places: &Places) -> Vec<String> {
        self.command.iter().map(|word| places.fill(word)).collect()
    }

    /// Name and text of each file.
    pub(crate) fn files(&self, places: &Places) -> Vec<(String, String)> {
        self.files.iter().map(|(name, text)| (name.clone(), places.fill(text))).collect()
    }

    pub(crate) fn takes(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// It is to be run with this workload, which comes this way.
    pub(crate) fn bears(&self, load: &str, transport: Transport) -> bool {
        self.takes(transport) && (self.loads.is_empty() || self.loads.iter().any(|of| of == load))
    }

    /// The size of its program, if that is all of it.
    pub(crate) fn program_bytes(&self, places: &Places) -> Option<u64> {
        let program = self.command(places).first().filter(|_| self.one_file)?.clone();
        let file = if program.contains('/') { program.into() } else { on_path(&program)? };
        Some(fs::metadata(file).ok()?.len())
    }

    /// What of it is not installed: its program, or a file that its command names outside the run's
    /// folder.
    pub(crate) fn missing(&self, places: &Places) -> Option<String> {
        let command = self.command(places);
        let is_there = |word: &str| {
            if word.contains('/') { Path::new(word).exists() } else { on_path(word).is_some() }
        };
        let outside =
            |word: &&String| word.starts_with('/') && !Path::new(word).starts_with(&places.dir);
        let first = command.first().filter(|program| !is_there(program));
        let missing = first.or_else(|| {
            command.iter().skip(1).filter(outside).find(|word| !Path::new(word).exists())
        });
        missing.cloned()
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers often live where only root looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// All profiles of a folder: this server first, the floors last, the others by name between them.
pub(crate) fn load(folder: &Path) -> Result<Vec<Profile>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{folder:?}: {error}"))?;
    let mut profiles = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{folder:?}: {error}"))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            profiles.push(Profile::read(&path)?);
        }
    }
    let rank = |name: &str| match name {
        "statsd" => 0,
        "floor" => 2,
        "floor-nap" => 3,
        _ => 1,
    };
    profiles.sort_by(|a, b| (rank(&a.name), &a.name).cmp(&(rank(&b.name), &b.name)));
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            dir: "/run/x".into(),
            root: "/src".into(),
            bin: "/bin".into(),
            udp: 1,
            tcp: 2,
            admin: 3,
            carbon: 4,
            interval: 10,
            buffer: 8,
        }
    }

    #[test]
    fn braces_are_filled_in_and_others_stay() {
        let text = "{ port: {udp}, dir: '{dir}', every: {interval}000 } {what}";
        assert_eq!(places().fill(text), "{ port: 1, dir: '/run/x', every: 10000 } {what}");
    }

    #[test]
    fn the_profiles_that_come_with_the_bench_are_sound_and_in_order() {
        let profiles = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")).unwrap();
        let names: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names.first(), Some(&"statsd"));
        assert!(names.ends_with(&["floor", "floor-nap"]), "{names:?}");
        assert!(names[1..names.len() - 2].is_sorted(), "{names:?}");
    }

    #[test]
    fn what_is_not_installed_is_named() {
        let profile = |command: &[&str]| Profile {
            name: "x".into(),
            about: String::new(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            transports: vec![Transport::Udp],
            counts: None,
            same_port: false,
            ready: None,
            turns: None,
            one_file: true,
            sweep: false,
            loads: vec!["W1".into()],
            flushes: true,
            files: BTreeMap::new(),
        };
        let missing = |command: &[&str]| profile(command).missing(&places());
        assert_eq!(missing(&["sh", "-c", "{dir}/not-yet"]), None);
        assert_eq!(missing(&["no-such-server"]).unwrap(), "no-such-server");
        assert_eq!(missing(&["sh", "{root}/gone.js"]).unwrap(), "/src/gone.js");
        let shell = profile(&["sh"]);
        assert!(shell.program_bytes(&places()).unwrap() > 1000);
        let borne = |load, transport| shell.bears(load, transport);
        assert!(borne("W1", Transport::Udp));
        assert!(!borne("W2", Transport::Udp) && !borne("W1", Transport::Tcp));
    }
}
