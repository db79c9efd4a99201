//! From the configuration to what a flush is written with and sent by: the encoders in use, the sinks that take from them.

use std::fs;

use super::start::StartError;
use crate::config::{self, Config};
use crate::encode::encoders::Encoders;
use crate::encode::namespace::Namespace;
use crate::flush::FigureNames;
use crate::protocol::cleaned;
use crate::sink::Sink;
use crate::sink::spool::{Folder, Spool};

/// One for each name space that a sink is sent.
pub(super) fn encoders(config: &Config) -> Encoders {
    let is_used = |namespace: &&Namespace| {
        config.carbons.iter().any(|carbon| carbon.namespace == namespace.name)
    };
    let used: Vec<_> = config.namespaces.iter().filter(is_used).map(with_host_suffix).collect();
    Encoders::new(&used, &FigureNames::new(&config.rules.percentiles(), &config.rules.bins()))
}

/// `seed` is for the jitter between attempts to connect.
pub(super) fn sinks(config: &Config, encoders: &Encoders, seed: u64) -> Vec<Sink> {
    let sink = |(index, carbon): (u16, &config::Carbon)| {
        let encoder = encoders.id(&carbon.namespace).expect("the configuration was checked");
        Sink::new(index, carbon, encoder, seed)
    };
    (0..).zip(&config.carbons).map(sink).collect()
}

/// Opens the folder of each sink, where there is a spool.
pub(super) fn open_spools(config: &config::Spool, sinks: &mut [Sink]) -> Result<(), StartError> {
    let Some(dir) = &config.dir else { return Ok(()) };
    let part = config.max_size as u64 / sinks.len().max(1) as u64;
    for sink in sinks {
        let path = dir.join(sink.name());
        let spool = Folder::open(&path)
            .and_then(|folder| Spool::open(Box::new(folder), "plaintext", part))
            .map_err(|error| StartError::Spool(path, error))?;
        sink.attach(spool);
    }
    Ok(())
}

fn with_host_suffix(namespace: &Namespace) -> Namespace {
    let global_suffix = match namespace.host_suffix {
        true => host_name(),
        false => namespace.global_suffix.clone(),
    };
    Namespace { global_suffix, ..namespace.clone() }
}

/// The short name: up to its first dot. Empty if the kernel does not tell.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|error| {
        log::warn!("host_suffix=none reason=\"{error}\"");
        String::new()
    });
    let short = name.trim().split('.').next().unwrap_or_default();
    String::from_utf8_lossy(&cleaned(short.as_bytes())).into_owned()
}
