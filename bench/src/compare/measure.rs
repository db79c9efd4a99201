//! The measurements. Each runs on a server of its own, and returns its figures by name.

use std::net::TcpStream;
use std::time::Duration;

use statsd_bench::{Clock, Mix, Packing, Plan, Sender, Sent, Stop, Traffic, Workload, beside};

use super::load::{Filling, Load};
use super::plan;
use super::proc::{Queue, Usage};
use super::profile::{Profile, Transport};
use super::record::{Figures, Spread};
use super::search::{Try, confirmed, highest_that_holds};
use super::server::{Server, Setting};
use super::watch::{Watch, tick};

/// The rates of the sweep, from nearly idle to busy.
pub(crate) const RATES: [u64; 6] = [1_000, 5_000, 20_000, 50_000, 100_000, 200_000];

/// The number of flushes, each of all names, after which the peak of memory is read.
///
/// A server keeps something of the flushes before: delivered chunks, freed memory of other sizes.
/// It needs this in the long run, and the first flush shows none of it.
pub(crate) const FLUSHES: usize = 4;

/// Counters a second while a server is filled for a flush or for its turns.
const FILL: u64 = 200_000;

/// A server and a sender to it.
struct Trial<'a> {
    profile: &'a Profile,
    setting: &'a Setting,
    server: Server,
    sender: Sender,
}

/// The figures of a server while traffic was sent, until it had read everything.
struct Stretch {
    sent: Sent,
    /// The time of the server after the sender's last line.
    late: f64,
    before: (Usage, Queue),
    after: (Usage, Queue),
}

impl<'a> Trial<'a> {
    fn start(
        profile: &'a Profile,
        setting: &'a Setting,
        transport: Transport,
    ) -> Result<Self, String> {
        let server = Server::start(profile, setting)?;
        let sender = server.sender(transport)?;
        [&profile.counts, &profile.own_counts]
            .into_iter()
            .flatten()
            .for_each(|start| server.carbon.watch(start));
        Ok(Self { profile, setting, server, sender })
    }

    fn of_load(profile: &'a Profile, setting: &'a Setting, load: &Load) -> Result<Self, String> {
        let transport = profile.transport(load).ok_or("it does not take this workload")?;
        Self::start(profile, setting, transport)
    }

    fn send(&mut self, traffic: &Traffic, plan: Plan) -> Stretch {
        let figures = |server: &Server| (server.usage(), server.queue());
        let before = figures(&self.server);
        let sent = self.sender.send(traffic, plan);
        let late = Clock::start();
        self.server.until_read(&self.sender);
        let late = late.elapsed().as_secs_f64();
        Stretch { sent, late, before, after: figures(&self.server) }
    }

    /// Waits until carbon has received `flushes` flushes, but no longer than they take.
    fn until_flushed(&self, flushes: usize) {
        if !self.profile.flushes {
            return;
        }
        let start = Clock::start();
        let patience = Duration::from_secs(self.setting.interval * (flushes as u64 + 1) + 20);
        while self.server.carbon.bursts().len() < flushes.max(1) && start.elapsed() < patience {
            Clock::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the share of `sent` that reached carbon as counts, once two flushes had the time to
    /// arrive. Returns `None` if the profile has no text for it.
    fn arrived(&self, sent: u64) -> Option<f64> {
        let carbon = &self.server.carbon;
        let own = self.profile.own_counts.as_ref();
        let counts = self.profile.counts.as_ref()?;
        let start = Clock::start();
        loop {
            let own = own.map_or(0.0, |own| carbon.watched(own).sum);
            let share = (carbon.watched(counts).sum - own) / sent as f64;
            if share >= 1.0 || start.elapsed() > Duration::from_secs(2 * self.setting.interval + 1)
            {
                return Some(share);
            }
            Clock::sleep(Duration::from_millis(50));
        }
    }

    fn done(mut self, figures: Figures) -> Result<Figures, String> {
        self.server.is_well().map(|()| figures)
    }
}

impl Stretch {
    fn cpu(&self) -> f64 {
        self.after.0.cpu_seconds - self.before.0.cpu_seconds
    }

    fn drops(&self) -> u64 {
        self.after.1.drops - self.before.1.drops
    }

    fn figures(&self) -> Figures {
        let seconds = self.sent.seconds + self.late;
        let wake_ups = self.after.0.sleeps - self.before.0.sleeps;
        vec![
            ("cpu_s_per_million_lines", self.cpu() * 1e6 / self.sent.lines as f64),
            ("lines_per_s", self.sent.lines as f64 / seconds),
            ("mib_per_s", mib(self.sent.bytes / 1024) / seconds),
            ("cores", self.cpu() / seconds),
            ("resident_mib", mib(self.after.0.resident_kib)),
            ("wake_ups_per_s", wake_ups as f64 / seconds),
            ("dropped_packets", self.drops() as f64),
        ]
    }
}

fn during(time: Duration) -> Plan {
    Plan { stop: Stop::After(time), rate: None }
}

/// The cost of a moderate rate over one flush interval, when every name was seen once. A cold load
/// is measured from the first line on, so its cost includes creating the series.
pub(crate) fn cost(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
) -> Result<Figures, String> {
    let mut trial = Trial::of_load(profile, setting, load)?;
    let warm = if load.is_cold { 0 } else { trial.send(traffic, load.warm()).sent.lines };
    let span = Duration::from_secs(setting.interval);
    let run = trial.send(traffic, during(span).at(load.rate));
    let mut figures = run.figures();
    // Names of Datadog's clients do not begin with what `counts` may have in it.
    if !load.workload.dogstatsd || profile.own_counts.is_some() {
        // Each run sent the traffic from its start.
        let counts = traffic.counted(warm) + traffic.counted(run.sent.lines);
        figures.extend(trial.arrived(counts).map(|share| ("counted", share)));
    }
    trial.done(figures)
}

/// What of a try's lines may still wait in the socket when it ends, as a share of its time.
const LATE: f64 = 0.1;

/// The highest rate that loses nothing: by bisection in short tries, and then once for a whole
/// flush interval, at a little less where that loses. A sender over TCP or a Unix socket waits for
/// the server, so the rate is what the server reads.
pub(crate) fn highest(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    plan: &plan::Plan,
) -> Result<Figures, String> {
    let mut trial = Trial::of_load(profile, setting, load)?;
    trial.send(traffic, load.warm());
    trial.sender.sort_by_length();
    let (span, halvings) = plan.effort();
    let whole = Duration::from_secs(setting.interval);
    let found = if profile.transport(load) == Some(Transport::Udp) {
        let mut probe = |rate, span| {
            // A try that fails is given a second one: the machine has other things to do too.
            match tried(&mut trial, traffic, Some(rate), span) {
                Try::Holds(found) => Try::Holds(found),
                _ => tried(&mut trial, traffic, Some(rate), span),
            }
        };
        let rate = highest_that_holds(load.rate, halvings, |rate| probe(rate, span));
        rate.and_then(|rate| confirmed(rate, |rate| probe(rate, whole)))
    } else {
        match tried(&mut trial, traffic, None, whole) {
            Try::Holds(found) | Try::Bound(found) => Some(found),
            Try::Loses(_) => None,
        }
    };
    trial.done(found.ok_or_else(|| format!("{} loses at every rate that was tried", profile.name))?)
}

fn tried(
    trial: &mut Trial<'_>,
    traffic: &Traffic,
    rate: Option<u64>,
    span: Duration,
) -> Try<Figures> {
    let run = trial.send(traffic, during(span).at(rate.unwrap_or(0)));
    let reached = run.sent.lines as f64 / run.sent.seconds;
    let is_late = rate.is_some() && run.late > LATE * run.sent.seconds;
    if run.drops() > 0 || run.sent.errors > 0 || is_late {
        return Try::Loses(reached);
    }
    let is_short = rate.is_some_and(|rate| reached < 0.95 * rate as f64);
    let mut figures = run.figures();
    figures.push(("sender_bound", f64::from(u8::from(is_short))));
    if is_short { Try::Bound(figures) } else { Try::Holds(figures) }
}

/// W1 at one rate of the sweep: the cost and the gain of gathering.
pub(crate) fn sweep(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    rate: u64,
) -> Result<Figures, String> {
    let mut trial = Trial::of_load(profile, setting, load)?;
    trial.send(traffic, Plan::lines(load.workload.names as u64));
    // A server may need a second to see how busy it is.
    trial.send(traffic, during(Duration::from_millis(1500)).at(rate));
    let figures = trial.send(traffic, during(Duration::from_secs(2)).at(rate)).figures();
    trial.done(figures)
}

/// The memory that names take. The server is filled right after each flush, so that as much as
/// possible falls into one interval.
pub(crate) fn memory(
    profile: &Profile,
    setting: &Setting,
    filling: &Filling,
) -> Result<Figures, String> {
    let Filling { load, lines, interval } = filling;
    let traffic = built(&load.workload)?;
    let setting = Setting { interval: setting.interval.max(*interval), ..setting.clone() };
    let mut trial = Trial::of_load(profile, &setting, load)?;
    trial.send(&traffic, Plan::lines(1));
    trial.until_flushed(1);
    let flushed = trial.server.carbon.bursts().len();
    let mut before_first = None;
    for flush in 1..=FLUSHES {
        trial.send(&traffic, Plan::lines(*lines).at(load.rate));
        Clock::sleep(Duration::from_millis(50));
        before_first.get_or_insert_with(|| trial.server.usage());
        trial.until_flushed(flushed + flush);
    }
    let before = before_first.map_or(0, |usage| usage.resident_kib);
    let peak = trial.server.usage().peak_kib;
    trial.done(vec![("before_flush_mib", mib(before)), ("peak_mib", mib(peak))])
}

/// A flush of 100,000 counters: by itself, and while packets arrive.
pub(crate) fn flush(profile: &Profile, setting: &Setting) -> Result<Figures, String> {
    let many = counters(100_000, Packing::Bytes(1432))?;
    let few = counters(1_000, Packing::Lines(1))?;
    let mut trial = Trial::start(profile, setting, Transport::Udp)?;
    // Right after a flush, so that all come in one interval: some servers send only what came in
    // it.
    let first = trial.send(&many, Plan::lines(1)).sent;
    trial.until_flushed(1);
    let seen = trial.server.carbon.bursts().len();
    let all = trial.send(&many, Plan::lines(100_000).at(FILL)).sent;
    // The last packets may take a little longer than their reading.
    Clock::sleep(Duration::from_millis(50));
    let before = trial.server.usage();
    let watch = Watch::start(trial.server.process(), trial.server.carbon.clock());
    trial.until_flushed(seen + 1);
    let cpu = trial.server.usage().cpu_seconds - before.cpu_seconds;
    let samples = watch.end();
    let bursts = trial.server.carbon.bursts();
    let burst = bursts.last().ok_or_else(|| format!("{} sends nothing to carbon", profile.name))?;
    let drops = trial.server.queue().drops;
    let (gap, sent) = longest_gap(&trial, few.clone())?;
    let counts = many.counted(first.lines) + many.counted(all.lines) + few.counted(sent.lines);
    let mut figures = vec![
        ("lines", burst.lines as f64),
        ("cpu_ms", cpu * 1000.0),
        ("sending_ms", millis(burst.last.saturating_sub(burst.first))),
        ("longest_gap_ms", millis(gap)),
        ("packets_sent", sent.packets as f64),
        ("dropped_packets", (trial.server.queue().drops - drops) as f64),
    ];
    // A server that never rests has no tick.
    let ticked = tick(&samples, burst.first).map(|tick| burst.last.saturating_sub(tick));
    figures.extend(ticked.map(|took| ("tick_to_last_byte_ms", millis(took))));
    figures.extend(trial.arrived(counts).map(|share| ("counted", share)));
    trial.done(figures)
}

/// Returns the longest time in which nothing was read from a socket that held data, while packets
/// arrive for one interval and two seconds. At least one flush is among them.
fn longest_gap(trial: &Trial<'_>, traffic: Traffic) -> Result<(Duration, Sent), String> {
    let server = &trial.server;
    let mut sender = server.sender(Transport::Udp)?;
    let span = Duration::from_secs(trial.setting.interval + 2);
    let sending = beside(move || sender.send(&traffic, during(span).at(50_000)));
    let clock = Clock::start();
    let mut longest = Duration::ZERO;
    let mut since = Duration::ZERO;
    let mut waited = 0;
    while clock.elapsed() < span {
        let now = clock.elapsed();
        let waiting = server.queue().waiting;
        if waiting == 0 || waiting < waited {
            since = now;
        }
        longest = longest.max(now - since);
        waited = waiting;
        Clock::sleep(Duration::from_millis(1));
    }
    let sent = sending.join().map_err(|_| "the sender panicked".to_owned())?;
    server.until_read(&trial.sender);
    Ok((longest, sent))
}

/// A server without traffic: how soon it is ready, and how much it does in one flush interval.
pub(crate) fn quiet(profile: &Profile, setting: &Setting) -> Result<Figures, String> {
    let mut listening = Vec::new();
    let mut ready = Vec::new();
    let mut last = None;
    for _ in 0..5 {
        drop(last.take());
        let server = Server::start(profile, setting)?;
        listening.push(millis(server.listening_after));
        ready.extend(server.ready_after.map(millis));
        last = Some(server);
    }
    let mut server = last.expect("started above");
    // The work of its first moments is not counted.
    Clock::sleep(Duration::from_secs(2));
    let before = server.usage();
    Clock::sleep(Duration::from_secs(setting.interval));
    let after = server.usage();
    let mut figures = vec![
        ("resident_mib", mib(before.resident_kib)),
        ("wake_ups", (after.sleeps - before.sleeps) as f64),
        ("cpu_ms", (after.cpu_seconds - before.cpu_seconds) * 1000.0),
    ];
    for (name, times) in [("listening_ms", listening), ("ready_ms", ready)] {
        figures.extend(Spread::of(times).map(|spread| (name, spread.median)));
    }
    server.is_well().map(|()| figures)
}

/// Connections on which no data arrives.
const CONNECTIONS: usize = 10_000;

/// Half of the shortest queue of connections to accept that a server asks for.
const BACKLOG: usize = 16;

/// Files that a server had open for its start, and has closed since.
const CLOSED: usize = 48;

/// Memory with ten thousand idle connections.
pub(crate) fn connections(profile: &Profile, setting: &Setting) -> Result<Figures, String> {
    let mut server = Server::start(profile, setting)?;
    Clock::sleep(Duration::from_millis(500));
    let before = super::proc::open_files(server.process());
    let mut held: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    loop {
        // A full backlog would cost a second, so the bench waits until the server has accepted.
        if held.len().is_multiple_of(BACKLOG) {
            let start = Clock::start();
            let open = || super::proc::open_files(server.process());
            while open() + CLOSED < before + held.len() {
                if start.elapsed() > Duration::from_secs(5) {
                    return Err(format!(
                        "{} files are open with {} connections",
                        open(),
                        held.len()
                    ));
                }
                Clock::sleep(Duration::from_micros(200));
            }
        }
        if held.len() == CONNECTIONS {
            break;
        }
        let refused = |error| format!("it takes {} connections: {error}", held.len());
        held.push(server.connect().map_err(refused)?);
    }
    Clock::sleep(Duration::from_millis(200));
    let with = mib(server.usage().resident_kib);
    server.is_well().map(|()| vec![("resident_mib", with)])
}

/// The longest turn of a server's loop, as the server itself reports it, while a million new
/// counters arrive in five seconds and are flushed.
pub(crate) fn turns(profile: &Profile, setting: &Setting) -> Result<Figures, String> {
    let figure = profile.turns.clone().unwrap_or_default();
    let traffic = counters(1_000_000, Packing::Bytes(1432))?;
    let mut trial = Trial::start(profile, setting, Transport::Udp)?;
    // Time in which other processes have its core is not counted: sender and carbon share it.
    let favoured = trial.server.favour();
    trial.server.carbon.watch(&figure);
    trial.send(&traffic, Plan::lines(1_000_000).at(FILL));
    // A flush reports the turns before it: those of the flush of all names are in the one after it.
    let flushed = trial.server.carbon.bursts().len();
    trial.until_flushed(flushed + 2);
    let reported = trial.server.carbon.watched(&figure);
    if reported.lines == 0 {
        return Err(format!("{} reports no {figure}", profile.name));
    }
    let favoured = f64::from(u8::from(favoured));
    trial.done(vec![("longest_ms", reported.largest), ("highest_priority", favoured)])
}

fn counters(names: usize, packing: Packing) -> Result<Traffic, String> {
    built(&Workload { names, mix: Mix::COUNTERS, packing, ..Workload::default() })
}

pub(crate) fn built(workload: &Workload) -> Result<Traffic, String> {
    Traffic::build(workload).map_err(|error| error.to_string())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
