//! How a link gets from rest to a connection: the rounds over its addresses, the look-up, the connect.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::{Registry, Token};

use super::{LOOK_MAX, Link, Proof, REFUSALS_BELIEVED, State};
use crate::config::Net;
use crate::sink::framing::Speech;
use crate::sink::outbox::Outbox;
use crate::sink::resolve::Query;
use crate::time::Now;
use crate::token::Source;

/// A look-up that takes longer is a failure like any other.
const LOOK_UP: Duration = Duration::from_secs(10);

impl Link {
    /// Other settings. Another address, or with another account, is dialled at once.
    pub(super) fn settle_for(&mut self, net: &Net, speech: Speech, outbox: &mut Outbox, now: Now) {
        self.connect_timeout = net.connect_timeout;
        self.write_timeout = net.write_timeout;
        self.reconnect_min = net.reconnect_min;
        self.reconnect_max = net.reconnect_max;
        self.look_max = LOOK_MAX;
        if self.remote == net.remote && self.speech == speech {
            return;
        }
        self.remote = net.remote.clone();
        self.speech = speech;
        self.addresses.clear();
        self.outages.forget();
        self.proof = Proof::default();
        if !matches!(self.state, State::Idle) {
            self.history.last_error = Some("its address was changed".into());
            self.go(State::BackingOff { until: now.tick }, outbox, now);
        }
    }

    /// From rest: to the next address, or to a new round of them. The connection is kept open even while nothing waits, so
    /// that whoever starts the server learns at once whether its destination is there.
    pub(super) fn redial(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        if !self.addresses.is_empty() {
            return self.dial(outbox, now, registry);
        }
        if let Ok(address) = self.remote.host.parse::<IpAddr>() {
            self.addresses.push_back(SocketAddr::new(address, self.remote.port));
            return self.dial(outbox, now, registry);
        }
        match self.query(registry) {
            Ok(query) => {
                let until = now.tick + LOOK_UP;
                self.go(State::Resolving { query, until }, outbox, now);
            }
            Err(error) => self.fail(&error, outbox, now),
        }
    }

    fn query(&mut self, registry: &Registry) -> io::Result<Query> {
        if self.dying.is_some() {
            return Err(io::Error::other("the child of the last look-up is still there"));
        }
        let command = (self.look_up)(&self.remote.host, self.remote.port);
        Query::start(command, registry, self.next_token())
    }

    pub(super) fn resolved(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let State::Resolving { query, .. } = &self.state else { return };
        match query.addresses() {
            Ok(addresses) => {
                self.addresses = addresses.into();
                self.dial(outbox, now, registry);
            }
            Err(error) => self.fail(&error, outbox, now),
        }
    }

    fn dial(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let Some(address) = self.addresses.pop_front() else { return };
        let token = self.next_token();
        match self.network.dial(address, registry, token) {
            Ok(socket) => {
                let until = now.tick + self.connect_timeout;
                self.go(State::Connecting { socket, address, until }, outbox, now);
            }
            Err(error) => self.fail(&error, outbox, now),
        }
    }

    fn next_token(&mut self) -> Token {
        self.generation = self.generation.next();
        Source::Sink(self.index, self.generation).into()
    }

    pub(super) fn establish(&mut self, outbox: &mut Outbox, now: Now) {
        // Taken out for a moment in which nothing looks at it.
        let State::Connecting { socket, address, .. } = mem::replace(&mut self.state, State::Idle)
        else {
            return;
        };
        self.addresses.clear(); // the next round asks for them anew
        self.history.connects += 1;
        let mut connection = self.speech.over(socket, address);
        if self.proof.early >= REFUSALS_BELIEVED {
            connection.probe();
        }
        if !connection.is_proven(now.tick) {
            outbox.distrust();
        }
        self.proof = Proof { early: self.proof.early, ..Proof::default() };
        self.go(State::Up(connection), outbox, now);
    }
}
