//! SIGHUP: the configuration file is read again. All of it applies, between two sweeps, or none of it and the log says why.
//!
//! ```text
//!  SIGHUP ─▶ read and checked whole ─▶ waits for the end of the sweep ─▶ bound, opened ─▶ applied
//!                    │ a mistake                                              │ an address taken
//!                    └──────────────────▶ nothing changes ◀───────────────────┘
//! ```

use std::time::Duration;

use sd_notify::NotifyState;

use super::key_flush::KeyFlush;
use super::listen::{Bound, bind_all, check_buffer};
use super::settings::settings;
use super::start::StartError;
use super::stop::{LAST_LOOK, log_unread};
use super::{Server, Timer, admin_port, notify, outputs};
use crate::config::{self, Carbon, Config, Influxdb, Origin, Repeater};
use crate::encode::encoders::Encoders;
use crate::logging;
use crate::time::Tick;
use crate::token::Source;

/// Listeners that a reload has removed and that are still read.
#[derive(Debug, Default)]
pub(super) struct Retired {
    sources: Vec<Source>,
    /// They are closed then at the latest, even if they hold data.
    until: Tick,
}

/// How long a listener is read if its port is needed at once. It is part of one turn.
const SHORT_LOOK: Duration = Duration::from_millis(2);

impl Retired {
    fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

impl Server {
    /// Reads the file. What is wrong with it is logged, and nothing changes.
    pub(super) fn begin_reload(&mut self) {
        notify::reloading();
        match config::reload(&self.origin) {
            Ok((config, origin)) => self.wanted = Some(Box::new((config, origin))),
            Err(failure) => refuse(&self.origin, &failure),
        }
    }

    /// Applies what waits to be, once no sweep is under way. Other rules than those of the last reload wait until a flush has
    /// brought those to every series.
    pub(super) fn finish_reload(&mut self) {
        let engine = &self.engine;
        let can_take = |wanted: &mut Box<(Config, Origin)>| engine.can_take(&settings(&wanted.0));
        let Some(wanted) = self.wanted.take_if(can_take) else { return };
        let (config, origin) = *wanted;
        let running = running(&self.config, &config);
        match self.apply(&running) {
            Ok(()) => {
                let later = config::difference(&running, &config).join(" ");
                if !later.is_empty() {
                    log::warn!("reload=partial unchanged=\"{later}\" reason=\"needs a restart\"");
                }
                let changed = config::difference(&self.config, &running).join(" ");
                log::info!("reload=done changed=\"{changed}\"");
                self.config = running;
                self.origin = origin;
            }
            Err(error) => refuse(&origin, &error),
        }
        notify::tell(&[NotifyState::Ready]);
    }

    /// First all that can fail, then all that cannot.
    fn apply(&mut self, config: &Config) -> Result<(), StartError> {
        let encoders = outputs::encoders(config);
        let new = outputs::new_ones(config, &self.config.spool, &self.sinks, None)?;
        let state_file = self.open_other_state(config)?;
        self.rebind(config)?;
        logging::set_level(config.log_level);
        for socket in self.listeners.datagrams.iter().map(|(_, socket)| socket) {
            if config.udp.recv_buffer != self.config.udp.recv_buffer {
                check_buffer(socket, config.udp.recv_buffer);
            }
        }
        self.admin_from.clone_from(&config.admin.allow_from);
        self.shutdown_timeout = config.shutdown_timeout;
        self.engine.reconfigure(&settings(config));
        self.flushing.reconfigure(config.flush_interval, config.align_flush);
        self.replace_sinks(config, &encoders);
        let (seed, account) = (self.seeds.names[0], self.account.as_ref());
        outputs::add(&mut self.sinks, new, &encoders, seed, account);
        self.limit_clients(config);
        self.encoders = encoders;
        self.plan_key_flush(config);
        if config.state != self.config.state {
            self.replace_state(config, state_file);
        }
        self.wheel.set(Timer::Flush, self.flushing.deadline(self.now));
        Ok(())
    }

    /// Opens what is wanted and not open, closes what is open and not wanted; or neither.
    fn rebind(&mut self, config: &Config) -> Result<(), StartError> {
        let change = self.listeners.change(config);
        let bound = match bind_all(&change.missing) {
            // One that leaves has the port: *:8125 for 127.0.0.1:8125.
            Err(error) if error.is_taken() && !self.listeners.in_the_way(&change).is_empty() => {
                let in_the_way = self.listeners.in_the_way(&change);
                let before = self.listeners.wanted_by(&in_the_way);
                self.close_now(&in_the_way);
                bind_all(&change.missing).inspect_err(|_| match bind_all(&before) {
                    Ok(bound) => self.listen_to(bound),
                    Err(error) => {
                        log::error!("reload=failed reason=\"{error}\" hint=\"restart the server\"")
                    }
                })
            }
            bound => bound,
        }?;
        self.retire(self.listeners.change(config).leaving);
        self.listeners.set_modes(config.unix.mode);
        let registry = self.poll.registry();
        self.listeners.add(bound, config, registry).map_err(StartError::from)
    }

    fn listen_to(&mut self, bound: Vec<Bound>) {
        if let Err(error) = self.listeners.add(bound, &self.config, self.poll.registry()) {
            log::error!("reload=failed reason=\"{error}\" hint=\"restart the server\"");
        }
    }

    /// Reads listeners that are no longer wanted until they are empty. They are closed over the
    /// next turns, so that a busy one does not delay the others. Connections that they have
    /// accepted stay.
    fn retire(&mut self, leaving: Vec<Source>) {
        leaving.iter().for_each(|source| self.push_for_last_look(*source));
        self.retired = Retired { sources: leaving, until: self.now.tick + LAST_LOOK };
        self.wheel
            .set(Timer::Retired, Some(self.retired.until).filter(|_| !self.retired.is_empty()));
    }

    /// Closes the retired listeners that are empty, and all of them after `until`.
    pub(super) fn close_retired(&mut self) {
        if self.retired.is_empty() {
            return;
        }
        let is_over = self.retired.until <= self.now.tick;
        let backlog = &self.backlog;
        let (unread, dry): (Vec<Source>, Vec<Source>) =
            self.retired.sources.drain(..).partition(|source| backlog.has(*source));
        self.close(&dry);
        if is_over {
            log_unread(unread.len(), LAST_LOOK);
            self.close(&unread);
        } else {
            self.retired.sources = unread;
        }
    }

    /// Closes listeners whose port another one needs in this turn. They are read for a short time
    /// first.
    fn close_now(&mut self, leaving: &[Source]) {
        leaving.iter().for_each(|source| self.push_for_last_look(*source));
        self.receive_for(SHORT_LOOK);
        let unread = leaving.iter().filter(|source| self.backlog.has(**source)).count();
        log_unread(unread, SHORT_LOOK);
        self.close(leaving);
    }

    fn close(&mut self, sources: &[Source]) {
        self.count_drops();
        // The next listener may get the index of one of these.
        self.retired.sources.retain(|source| !sources.contains(source));
        for source in sources {
            match *source {
                Source::StreamListener(index) => self.wheel.set(Timer::StreamListener(index), None),
                Source::AdminListener(index) => self.wheel.set(Timer::AdminListener(index), None),
                _ => {}
            }
        }
        self.listeners.close(sources);
    }

    /// Sets new limits on clients. Connected clients stay, even if there are more than the limits
    /// now allow.
    fn limit_clients(&mut self, config: &Config) {
        let shares = self.descriptors.share(config, self.sinks.len());
        self.input.reconfigure(config, shares.connections);
        self.watch_idle_connections();
        self.admin.limit(admin_port::limits(config, shares.admin));
    }

    /// Those that stay get their settings, those that go some time to deliver.
    fn replace_sinks(&mut self, config: &Config, encoders: &Encoders) {
        self.repeat(); // what came before
        let until = self.now.tick + config.shutdown_timeout;
        let part = outputs::spool_part(config, &self.config.spool);
        for sink in self.sinks.iter_mut() {
            match config.destinations().find(|destination| destination.name() == sink.name()) {
                Some(destination) => {
                    let takes = outputs::feed(destination, encoders);
                    sink.limit_spool(part);
                    sink.reconfigure(destination, takes, self.now);
                }
                None => sink.remove(until, self.now, self.poll.registry()),
            }
        }
    }

    fn plan_key_flush(&mut self, config: &Config) {
        if config.key_flush != self.config.key_flush {
            self.key_flush = KeyFlush::new(&config.key_flush);
            let deadline = self.key_flush.as_ref().map(|keys| keys.deadline(self.now.tick));
            self.wheel.set(Timer::KeyFlush, deadline);
        }
    }
}

/// What only a start can apply stays as it is: who the process is, where its folders are, and a destination in another
/// protocol than the one in which it has chunks waiting.
fn running(before: &Config, wanted: &Config) -> Config {
    let (user, group) = (before.user.clone(), before.group.clone());
    let mut running = Config { user, group, spool: before.spool.clone(), ..wanted.clone() };
    for carbon in &mut running.carbons {
        let same = before.carbons.iter().find(|known| known.name == carbon.name);
        if let Some(same) = same.filter(|same| same.protocol != carbon.protocol) {
            let namespace = std::mem::take(&mut carbon.namespace); // the other may be gone
            *carbon = Carbon { namespace, ..same.clone() };
        }
    }
    for influxdb in &mut running.influxdbs {
        let same = before.influxdbs.iter().find(|known| known.name == influxdb.name);
        if let Some(same) = same.filter(|same| same.protocol != influxdb.protocol) {
            let namespace = std::mem::take(&mut influxdb.namespace);
            *influxdb = Influxdb { namespace, ..same.clone() };
        }
    }
    for repeater in &mut running.repeaters {
        let same = before.repeaters.iter().find(|known| known.name == repeater.name);
        if let Some(same) = same.filter(|same| same.protocol != repeater.protocol) {
            *repeater = Repeater::clone(same);
        }
    }
    running
}

fn refuse(origin: &Origin, why: &dyn std::fmt::Display) {
    let path = origin.to_string();
    for line in why.to_string().lines() {
        log::error!(
            "reload=refused config={path:?} reason=\"{line}\" hint=\"nothing has changed\""
        );
    }
    notify::tell(&[NotifyState::Ready]);
}
