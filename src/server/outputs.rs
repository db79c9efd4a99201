//! Makes the encoders and the sinks that a configuration needs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;

use nix::unistd::gethostname;

use crate::config::{self, Config, Destination, DestinationFeed, DestinationKind, FlushFeed};
use crate::encode::encoders::Encoders;
use crate::encode::namespace::{ConstantTag, Namespace};
use crate::policy::FigureNames;
use crate::privileges::Login;
use crate::protocol::cleaned;
use crate::random;
use crate::server::server_error::ServerError;
use crate::sink::spool::Spool;
use crate::sink::{Feed, Platform, Sink, Sinks, SystemPlatform};
use crate::stdio::StandardStream;

/// Makes one encoder for each combination of format, name space and own figures that a destination
/// takes.
pub(super) fn encoders(config: &Config) -> Encoders {
    let namespaces = with_host_name(&config.namespaces);
    let wanted = config.active_destinations().filter_map(|destination| {
        let DestinationFeed::Flushes(taken) = destination.takes() else { return None };
        let is_its = |namespace: &&Namespace| namespace.name == taken.namespace;
        let namespace = namespaces.iter().find(is_its).expect("the configuration was checked");
        Some((taken.format, namespace, taken.own_figures))
    });
    Encoders::new(wanted, &FigureNames::new(&config.rules.percentiles(), &config.rules.bins()))
}

/// What sinks get from the process and the machine.
#[derive(Debug)]
pub(super) struct SinkResources {
    pub(super) platform: Box<dyn Platform>,
    /// For the console of a start. A console that a reload adds opens its own.
    pub(super) stdout: Option<StandardStream>,
    /// The account that this process has become, if `user` is set. Commands run as it.
    pub(super) account: Option<Rc<Login>>,
    /// For the jitter between attempts to connect.
    pub(super) seed: u64,
}

impl Default for SinkResources {
    /// The network and the disks of the machine, and the account of this process. No console.
    fn default() -> Self {
        let seed = random::seed();
        Self { platform: Box::new(SystemPlatform), stdout: None, account: None, seed }
    }
}

impl SinkResources {
    /// Opens standard output as well, if flushes are written to the console.
    pub(super) fn open(config: &Config) -> Result<Self, ServerError> {
        let mut resources = Self::default();
        if config.has_console() {
            resources.stdout = Some(resources.platform.stdout().map_err(ServerError::Stdout)?);
        }
        Ok(resources)
    }
}

/// A destination that has no sink yet, and what was opened for it.
#[derive(Debug)]
pub(super) struct NewSink<'a> {
    destination: &'a Destination,
    spool: Option<Spool>,
    stdout: Option<StandardStream>,
}

/// Opens the destinations of a configuration that have no sink yet: their spools, and standard
/// output, unless it is open already. Fails if one of these cannot be opened, or if there are too
/// many destinations beside those that are leaving. `spool` is that of the running configuration.
pub(super) fn open<'a>(
    config: &'a Config,
    spool: &config::Spool,
    sinks: &Sinks,
    platform: &dyn Platform,
    mut stdout: Option<StandardStream>,
) -> Result<Vec<NewSink<'a>>, ServerError> {
    let is_new =
        |destination: &&Destination| sinks.iter().all(|sink| sink.name() != destination.name);
    let destinations: Vec<_> = config.active_destinations().filter(is_new).collect();
    if !sinks.have_room_for(destinations.len()) {
        return Err(ServerError::TooManyLeaving(sinks.len()));
    }
    let part = spool_part(config, spool);
    let mut new = Vec::new();
    for destination in destinations {
        let spool = match (&spool.dir, destination.spooled_format()) {
            (Some(dir), Some(format)) => {
                Some(open_spool(platform, dir.join(&destination.name), format, part)?)
            }
            _ => None,
        };
        let stdout = match destination.kind {
            DestinationKind::Console(_) => {
                let opened = stdout.take().map_or_else(|| platform.stdout(), Ok);
                Some(opened.map_err(ServerError::Stdout)?)
            }
            _ => None,
        };
        new.push(NewSink { destination, spool, stdout });
    }
    Ok(new)
}

/// Returns the bytes that the spool of one destination may grow to. All destinations with a spool
/// have equal parts of `max_size`.
pub(super) fn spool_part(config: &Config, spool: &config::Spool) -> u64 {
    let spooled = config.active_destinations().filter_map(Destination::spooled_format);
    spool.max_size as u64 / spooled.count().max(1) as u64
}

/// Makes the sinks of new destinations.
pub(super) fn add_sinks(
    sinks: &mut Sinks,
    new: Vec<NewSink<'_>>,
    encoders: &Encoders,
    resources: &SinkResources,
) {
    for NewSink { destination, spool, stdout } in new {
        let takes = feed(destination, encoders);
        let SinkResources { platform, seed, .. } = resources;
        let sink =
            sinks.add(|index| Sink::new(index, destination, takes, &**platform, *seed, stdout));
        if let Some(account) = &resources.account {
            sink.run_as(account);
        }
        if let Some(spool) = spool {
            sink.attach(spool);
        }
    }
}

/// Returns the chunks that the sink of a destination takes.
pub(super) fn feed(destination: &Destination, encoders: &Encoders) -> Feed {
    match destination.takes() {
        DestinationFeed::Packets(transport) => Feed::Packets(transport),
        DestinationFeed::Flushes(FlushFeed { format, namespace, own_figures }) => {
            let found = encoders.id(&format, namespace, own_figures);
            Feed::Flushes(found.expect("there is one for each destination of flushes"))
        }
    }
}

fn open_spool(
    platform: &dyn Platform,
    path: PathBuf,
    format: &'static str,
    max_bytes: u64,
) -> Result<Spool, ServerError> {
    platform
        .disk(&path)
        .and_then(|disk| Spool::open(disk, format, max_bytes))
        .map_err(|error| ServerError::Spool(path, error))
}

/// Returns the name spaces, with the name of this host wherever they are configured so.
fn with_host_name(namespaces: &[Namespace]) -> Vec<Namespace> {
    let mut namespaces = namespaces.to_vec();
    let needs_host = |namespace: &Namespace| {
        namespace.host_suffix || namespace.tags.iter().any(ConstantTag::has_host)
    };
    if !namespaces.iter().any(needs_host) {
        return namespaces;
    }
    let host = host_name();
    for namespace in &mut namespaces {
        if namespace.host_suffix {
            namespace.global_suffix.clone_from(&host);
        }
        for tag in &mut namespace.tags {
            if let Some(value) = tag.value_with(&host) {
                tag.value = value;
            }
        }
    }
    namespaces
}

/// Returns the name of this host up to its first dot. It is empty if the kernel returns an error.
fn host_name() -> String {
    let name = gethostname().unwrap_or_else(|error| {
        log::warn!(
            host_suffix = "none",
            reason:% = error,
            hint = "names get no suffix and no tag of it; set [namespace] global_suffix instead of host_suffix, and write the name in tags";
            "the name of this host is unknown"
        );
        OsString::new()
    });
    let name = name.to_string_lossy();
    let short = name.trim().split('.').next().unwrap_or_default();
    String::from_utf8_lossy(&cleaned(short.as_bytes())).into_owned()
}
