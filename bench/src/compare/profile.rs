//! The profile files of servers: the command, its configuration, and the ports it listens on. Pure
//! except for reading the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::load::Load;

/// One file of the folder of profiles. `{dir}` and other names in braces in commands and files are
/// replaced at each start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) command: Vec<String>,
    pub(crate) transports: Vec<Transport>,
    /// The prefix of the lines at carbon with the count of a counter in a flush.
    pub(crate) counts: Option<String>,
    /// The prefix of those of them that count the server's own events.
    #[serde(default)]
    pub(crate) own_counts: Option<String>,
    /// Whether TCP has the same port as UDP.
    #[serde(default)]
    pub(crate) same_port: bool,
    /// The text that the server prints once it is ready.
    pub(crate) ready: Option<String>,
    /// The prefix of the line at carbon with the longest turn of its loop, in ms.
    pub(crate) turns: Option<String>,
    /// Whether the server is one file, so that the size of the file is the size of the server.
    #[serde(default)]
    one_file: bool,
    /// Whether it is part of the rate sweep.
    #[serde(default)]
    pub(crate) sweep: bool,
    /// Whether it reads the lines of Datadog's clients.
    #[serde(default)]
    dogstatsd: bool,
    /// The workloads that it is run with. An empty list means all.
    #[serde(default)]
    loads: Vec<String>,
    /// Whether it sends anything to carbon.
    #[serde(default = "yes")]
    pub(crate) flushes: bool,
    /// The files that are written to `{dir}` before each start.
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
    /// Unix datagrams.
    Unix,
}

/// The values that replace the names in braces.
pub(crate) type Places = Vec<(&'static str, String)>;

fn fill(places: &Places, text: &str) -> String {
    places.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
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
        self.command.iter().map(|word| fill(places, word)).collect()
    }

    /// Returns the name and the text of each file.
    pub(crate) fn files(&self, places: &Places) -> Vec<(String, String)> {
        self.files.iter().map(|(name, text)| (name.clone(), fill(places, text))).collect()
    }

    pub(crate) fn takes(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Returns how this workload is sent to it, or `None` if it cannot take the workload. A server
    /// without a Unix socket gets the datagrams over UDP.
    pub(crate) fn transport(&self, load: &Load) -> Option<Transport> {
        let is_able = self.dogstatsd || !load.workload.dogstatsd;
        let is_listed = self.loads.is_empty() || self.loads.iter().any(|name| name == load.name);
        let instead = (load.transport == Transport::Unix).then_some(Transport::Udp);
        let mut ways = std::iter::once(load.transport).chain(instead);
        ways.find(|way| is_able && is_listed && self.takes(*way))
    }

    /// Returns the size of its program, if the server is one file.
    pub(crate) fn program_bytes(&self, places: &Places) -> Option<u64> {
        let program = self.command(places).first().filter(|_| self.one_file)?.clone();
        let file = if program.contains('/') { program.into() } else { on_path(&program)? };
        Some(fs::metadata(file).ok()?.len())
    }

    /// Returns what is not installed: its program, or a file outside of the run's folder that its
    /// command names.
    pub(crate) fn missing(&self, places: &Places) -> Option<String> {
        let mut words = self.command(places).into_iter();
        let program = words.next()?;
        let is_there = Path::new(&program).exists() && program.contains('/');
        if !is_there && on_path(&program).is_none() {
            return Some(program);
        }
        let dir = fill(places, "{dir}");
        let mut outside = words.filter(|word| word.starts_with('/') && !word.starts_with(&dir));
        outside.find(|word| !Path::new(word).exists())
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are often installed in folders that only root has in its PATH.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// All profiles of a folder: this server first, the floors last, the others by name between them.
pub(crate) fn load(folder: &Path) -> Result<Vec<Profile>, String> {
    let failed = |error| format!("{folder:?}: {error}");
    let mut profiles = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
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
    use super::super::load;
    use super::*;

    fn places() -> Places {
        [("{dir}", "/run/x"), ("{root}", "/src"), ("{udp}", "1"), ("{interval}", "10")]
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    }

    #[test]
    fn braces_are_filled_in_and_others_stay() {
        let text = "{ port: {udp}, dir: '{dir}', every: {interval}000 } {what}";
        assert_eq!(fill(&places(), text), "{ port: 1, dir: '/run/x', every: 10000 } {what}");
    }

    #[test]
    fn the_profiles_that_come_with_the_bench_are_sound_and_in_order() {
        let profiles = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")).unwrap();
        let names: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names.first(), Some(&"statsd"));
        assert!(names.ends_with(&["floor", "floor-nap"]), "{names:?}");
        assert!(names[1..names.len() - 2].is_sorted(), "{names:?}");
    }

    fn profile(command: &[&str], more: &str) -> Profile {
        let text = format!("name = 'x'\nabout = ''\ncommand = {command:?}\none_file = true\n");
        toml::from_str(&(text + more)).unwrap()
    }

    #[test]
    fn what_is_not_installed_is_named() {
        let missing =
            |command: &[&str]| profile(command, "transports = ['udp']").missing(&places());
        assert_eq!(missing(&["sh", "-c", "{dir}/not-yet"]), None);
        assert_eq!(missing(&["no-such-server"]).unwrap(), "no-such-server");
        assert_eq!(missing(&["sh", "{root}/gone.js"]).unwrap(), "/src/gone.js");
        let shell = profile(&["sh"], "transports = ['udp']");
        assert!(shell.program_bytes(&places()).unwrap() > 1000);
    }

    #[test]
    fn a_server_gets_the_workloads_that_it_can_take() {
        let loads = load::all();
        let ways = |more: &str| {
            let profile = profile(&["sh"], more);
            ["W1", "W2", "W4", "W7"]
                .map(|name| profile.transport(loads.iter().find(|load| load.name == name).unwrap()))
        };
        let udp = Some(Transport::Udp);
        assert_eq!(ways("transports = ['udp']\nloads = ['W1']"), [udp, None, None, None]);
        assert_eq!(ways("transports = ['udp']"), [udp, udp, None, None]);
        assert_eq!(ways("transports = ['udp']\ndogstatsd = true"), [udp, udp, None, udp]);
        let all = "transports = ['udp', 'tcp', 'unix']\ndogstatsd = true";
        assert_eq!(ways(all), [udp, udp, Some(Transport::Tcp), Some(Transport::Unix)]);
    }
}
