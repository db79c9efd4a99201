//! graphite-web, which serves the Whisper files of a [`Carbon`].

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::carbon::Points;
use super::{Carbon, Process, connect, installed, json, peer_script, peers, until};

#[derive(Debug)]
pub(crate) struct GraphiteWeb {
    _process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl GraphiteWeb {
    /// Starts graphite-web and waits until it answers. Prints a note and returns `None` if it is
    /// not installed.
    pub(crate) fn start(carbon: &Carbon) -> Option<Self> {
        installed("graphite-web")?;
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(
            Command::new(peers().join("venv/bin/python"))
                .arg(peer_script("graphite_web.py"))
                .args([carbon.whisper().as_path(), folder.path()])
                .arg(carbon.queries().port().to_string()),
        );
        // Its start imports hundreds of modules, which takes seconds.
        let port = until(Duration::from_secs(60), "graphite-web to listen", || {
            let ended = process.ended();
            assert!(ended.is_none(), "graphite-web ended:\n{}", process.stderr().join("\n"));
            process.stdout().iter().find_map(|line| line.strip_prefix("port ")?.parse().ok())
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(Self { _process: process, address, _folder: folder })
    }

    /// Returns the points, after `from` and up to `until`, of all series that match one of
    /// `targets`.
    pub(crate) fn points(
        &self,
        targets: &[&str],
        from: u64,
        until: u64,
    ) -> BTreeMap<String, Points> {
        let (from, until) = (from.to_string(), until.to_string());
        let mut query = vec![("format", "json"), ("from", &from), ("until", &until)];
        query.extend(targets.iter().map(|&target| ("target", target)));
        let answer = String::from_utf8(self.render(&query)).unwrap();
        let all = json::parse(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        all.as_array().expect(&answer).iter().map(series).collect()
    }

    /// Returns the body of the answer to `/render` with these parameters.
    pub(crate) fn render(&self, parameters: &[(&str, &str)]) -> Vec<u8> {
        let pair = |&(name, value): &(&str, &str)| format!("{name}={}", encoded(value));
        let query: Vec<String> = parameters.iter().map(pair).collect();
        let mut stream = connect(self.address);
        write!(stream, "GET /render?{} HTTP/1.0\r\n\r\n", query.join("&")).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("an HTTP answer");
        let body = answer.split_off(head + 4);
        let head = String::from_utf8(answer).unwrap();
        let good = head.lines().next().is_some_and(|status| status.contains(" 200 "));
        assert!(good, "{head}{}", String::from_utf8_lossy(&body));
        body
    }

    /// Returns the number of pixels that have this colour, such as `ff0000`.
    pub(crate) fn count_pixels(&self, colour: &str, png: &[u8]) -> usize {
        let mut child = Command::new(peers().join("venv/bin/python"))
            .arg(peer_script("count_pixels.py"))
            .arg(colour)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(png).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "no picture: {}", String::from_utf8_lossy(png));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }
}

/// Reads `{"target": NAME, "datapoints": [[VALUE or null, STAMP], …], …}`. A null is no point.
fn series(json: &Value) -> (String, Points) {
    let name = json["target"].as_str().unwrap_or_else(|| panic!("no series: {json}"));
    let points = json["datapoints"].as_array().unwrap_or_else(|| panic!("no series: {json}"));
    let point = |point: &Value| {
        let pair = point.as_array().unwrap_or_else(|| panic!("no point: {point}"));
        let [value, stamp] = &pair[..] else { return None };
        Some((stamp.as_u64()?, value.as_f64()?))
    };
    (name.to_owned(), points.iter().filter_map(point).collect())
}

/// Percent-encodes a text, except for the characters that names consist of.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte);
    let byte = |byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}
