//! The profile files of servers: the command, its configuration, and the ports it listens on. Pure
//! except for reading the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use statsd_bench::machine::first_line;

use super::load::{Load, Transport};
use crate::Outcome;

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
    pub(crate) own_counts: Option<String>,
    /// The prefix of the line at carbon with the longest turn of its loop, in ms.
    pub(crate) turns: Option<String>,
    /// Whether it reads the lines of Datadog's clients.
    #[serde(default)]
    dogstatsd: bool,
    /// The workloads that it is not run with.
    #[serde(default)]
    without: Vec<String>,
    /// Whether it sends anything to carbon.
    #[serde(default = "yes")]
    pub(crate) flushes: bool,
    /// The files that are written to `{dir}` before each start.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// The words in braces, and the values that replace them.
pub(crate) type Places = Vec<(&'static str, String)>;

pub(crate) fn fill(places: &Places, text: &str) -> String {
    places.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

impl Profile {
    /// Returns how this workload is sent to it, or `None` if it cannot take the workload. A server
    /// without a Unix socket gets the datagrams over UDP.
    pub(crate) fn transport(&self, load: &Load) -> Option<Transport> {
        let is_able = self.dogstatsd || !load.workload.dogstatsd;
        if !is_able || self.without.iter().any(|name| name == load.name) {
            return None;
        }
        let instead = (load.transport == Transport::Unix).then_some(Transport::Udp);
        [load.transport].into_iter().chain(instead).find(|way| self.transports.contains(way))
    }

    /// Returns what is not installed: its program, or a file of the repository that its command
    /// names.
    pub(crate) fn missing(&self, places: &Places) -> Option<String> {
        let words = self.command.iter().map(|word| (word, fill(places, word)));
        let files = words.clone().filter(|(word, _)| word.starts_with("{root}/"));
        let mut needed = words.take(1).chain(files).map(|(_, file)| file);
        // Servers are often installed in folders that only root has in its PATH.
        let find = "PATH=$PATH:/usr/sbin:/sbin; command -v \"$0\" || test -e \"$0\" && echo";
        needed.find(|file| first_line("sh", &["-c", find, file]).is_none())
    }
}

/// All profiles of a folder: this server first, the floor last, the others by name between them.
pub(crate) fn load(folder: &Path) -> Outcome<Vec<Profile>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut profiles: Vec<Profile> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let profile = toml::from_str(&fs::read_to_string(&path)?);
            profiles.push(profile.map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    profiles.sort_by_key(|it| (it.name != "statsd", it.name == "floor", it.name.clone()));
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use super::super::load::LOADS;
    use super::*;

    fn profile(command: &[&str], more: &str) -> Profile {
        toml::from_str(&format!("name = 'x'\nabout = ''\ncommand = {command:?}\n{more}")).unwrap()
    }

    #[test]
    fn what_is_not_installed_is_named() {
        let places = vec![("{root}", "/src".to_owned())];
        let missing = |command: &[&str]| profile(command, "transports = ['udp']").missing(&places);
        assert_eq!(missing(&["sh", "-c", "{dir}/not-yet"]), None);
        assert_eq!(missing(&["no-such-server"]).unwrap(), "no-such-server");
        assert_eq!(missing(&["sh", "{root}/gone.js"]).unwrap(), "/src/gone.js");
    }

    #[test]
    fn a_server_gets_the_workloads_that_it_can_take() {
        let ways = |more: &str| {
            let profile = profile(&["sh"], more);
            ["W1", "W2", "W4", "W7"]
                .map(|name| profile.transport(LOADS.iter().find(|it| it.name == name).unwrap()))
        };
        let udp = Some(Transport::Udp);
        assert_eq!(ways("transports = ['udp']\nwithout = ['W1']"), [None, udp, None, None]);
        assert_eq!(ways("transports = ['udp']\ndogstatsd = true"), [udp, udp, None, udp]);
        let all = "transports = ['udp', 'tcp', 'unix']\ndogstatsd = true";
        assert_eq!(ways(all), [udp, udp, Some(Transport::Tcp), Some(Transport::Unix)]);
    }
}
