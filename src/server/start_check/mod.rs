//! `--check`: tries what a start with this configuration would do, and lists what would stop it.
//!
//! ```text
//!  as it was started: sockets passed in, accounts, ports, unix sockets, open files
//!  then as `user`:    state file, spool, log of names, the configuration itself
//! ```
//! A server with the same configuration may run meanwhile. So nothing that it uses is created,
//! locked, removed, or connected to: a port is bound and released, a lock is looked up in
//! /proc/locks, and a folder is tested for its permissions.
//!
//! If another process uses a port or a file, or only another user can test it, the finding is a
//! *remark*. A remark never fails the check: the other process may be the server that is to be
//! reloaded.

mod finding;
mod folders;
mod sockets;

pub use finding::{Finding, FindingKind};

use std::path::Path;

use nix::unistd::geteuid;

use self::finding::Findings;
use super::config_warnings::read_surroundings;
use super::descriptors::Descriptors;
use super::reception::listeners::{Endpoint, PassedSocket};
use crate::config::{self, Config, Origin};
use crate::files;
use crate::ingest::bind::{self, InheritedSocket};
use crate::privileges::{self, FileOwner};

/// Returns the warnings about a configuration and the problems that a start with it would have, in
/// the order of the file. If this process may, it becomes the user of the configuration and stays
/// that user.
pub fn check_start(config: &Config, origin: &Origin) -> Vec<Finding> {
    let mut findings = Findings::new(origin);
    let descriptors = Descriptors::count();
    let passed = bind::take_passed().unwrap_or_else(|error| {
        let what = format!("a socket that was passed in cannot be used: {error}");
        findings.error("udp", "bind", what);
        Vec::new()
    });
    let surroundings = read_surroundings(config, &addresses(&passed));
    let found = config::warnings(config, origin, &surroundings);
    found.into_iter().for_each(|warning| findings.warning_of_config(&warning));
    if let Some(shortage) = descriptors.shortage(config) {
        findings.warning("tcp", "max_connections", shortage);
    }
    let replaced: Vec<Endpoint> = passed.iter().map(Endpoint::of_passed).collect();
    sockets::check(config, &replaced, &mut findings);
    let is_certain = become_user(config, &mut findings);
    folders::check(config, is_certain, &mut findings);
    if is_certain && let Some(path) = origin.path() {
        check_readable(path, &mut findings);
    }
    findings.into_list()
}

/// Becomes the user of the configuration. Returns whether this process is now the user that a
/// server would be.
fn become_user(config: &Config, findings: &mut Findings<'_>) -> bool {
    let key = if config.user.is_empty() { "group" } else { "user" };
    let identity = match privileges::look_up(&config.user, &config.group) {
        Ok(identity) => identity,
        Err(error) => {
            findings.error("statsd", error.key(), error.explanation());
            return false;
        }
    };
    let owner = identity.owner();
    if owner == FileOwner::default() {
        return false; // the service manager chooses the user
    }
    if !geteuid().is_root() {
        if owner.user == Some(geteuid()) {
            return true;
        }
        let what = "only root can become another user, so files were tested as this one; run \
                    statsd --check as root to test them";
        findings.remark("statsd", key, what.into());
        return false;
    }
    match identity.assume() {
        Ok(()) => owner.user.is_some(),
        Err(error) => {
            findings.error("statsd", error.key(), error.explanation());
            false
        }
    }
}

/// Warns if the user of the server cannot read the configuration at a reload.
fn check_readable(path: &Path, findings: &mut Findings<'_>) {
    if let Err(error) = files::open_any(path) {
        let what = format!(
            "this user cannot read {}: {error}; a reload reads it again, so make it readable \
             (chgrp, chmod g+r)",
            path.display()
        );
        findings.warning("statsd", "user", what);
    }
}

fn addresses(passed: &[InheritedSocket]) -> Vec<PassedSocket> {
    let address = |passed: &InheritedSocket| {
        let address = passed.socket.local_addr().ok().and_then(|address| address.as_socket());
        PassedSocket { purpose: passed.purpose, address }
    };
    passed.iter().map(address).collect()
}
