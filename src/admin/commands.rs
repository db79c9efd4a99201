//! The commands of the admin port, one row each: `help` and the dispatch use the same table.

use std::borrow::Cow;
use std::time::Duration;

use super::delete::Delete;
use super::dump::Dump;
use super::explain::put_explanation;
use super::info::put_sinks;
use super::rules::RuleCounts;
use super::senders::{SenderList, put_bad_lines};
use super::text::write;
use super::top::put_top;
use super::view::{Health, View};
use super::watch::{SenderCountJob, WatchFilter, WatchJob};
use crate::config::render_masked;
use crate::figures;
use crate::ingest::datagrams::DatagramSocket;
use crate::ledger::OwnCounter;
use crate::policy::Glob;
use crate::protocol::MetricKind;
use crate::time::{Now, UnixTime};

/// The result of a command.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of the reply is written.
    Done,
    /// The reply takes some turns.
    Job(Job),
    Quit,
}

/// Work that a command leaves for the next turns.
#[derive(Debug)]
pub(super) enum Job {
    Dump(Box<Dump>),
    Delete(Box<Delete>),
    Watch(Box<WatchJob>),
    Senders(SenderCountJob),
    SenderList(SenderList),
    Rules(Box<RuleCounts>),
}

impl Job {
    /// Whether the command holds memory for every series.
    pub(super) fn is_dumping(&self) -> bool {
        match self {
            Self::Dump(dump) => dump.is_begun(),
            Self::Delete(delete) => delete.is_begun(),
            Self::Watch(_) | Self::Senders(_) | Self::SenderList(_) | Self::Rules(_) => false,
        }
    }

    /// The bytes that the command holds, where they depend on the number of series.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Dump(dump) => dump.bytes(),
            Self::Delete(delete) => delete.bytes(),
            Self::Watch(_) | Self::Senders(_) | Self::SenderList(_) | Self::Rules(_) => 0,
        }
    }

    /// Frees the memory that a dump holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        match self {
            Self::Dump(dump) => dump.pause(),
            Self::Delete(delete) => delete.pause(),
            Self::Watch(_) | Self::Senders(_) | Self::SenderList(_) | Self::Rules(_) => {}
        }
    }

    /// Whether the command may continue. If `may_dump` is `false`, a dump that has not begun must
    /// wait.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump
            || match self {
                Self::Dump(dump) => dump.is_begun(),
                Self::Delete(delete) => !delete.is_about_to_begin(),
                Self::Watch(_) | Self::Senders(_) | Self::SenderList(_) | Self::Rules(_) => true,
            }
    }

    /// Does a part of the work, and appends to `out`. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Dump(dump) => dump.step(view, out),
            Self::Delete(delete) => delete.step(view, out),
            Self::Watch(watching) => !watching.step(view.server.now.tick, out),
            Self::Senders(counting) => with_end(counting.step(out), out),
            Self::SenderList(list) => with_end(list.step(view, out), out),
            Self::Rules(rules) => rules.step(view, out),
        }
    }
}

/// Writes the end of an answer if it is complete. Returns whether it is.
fn with_end(is_complete: bool, out: &mut Vec<u8>) -> bool {
    if is_complete {
        out.extend_from_slice(b"END\n\n");
    }
    is_complete
}

/// A command, and what `help` shows about it.
struct Command {
    name: &'static str,
    /// What may follow the name. Empty if nothing does.
    arguments: &'static str,
    /// What it does, as a phrase.
    summary: &'static str,
    /// Everything else, as lines. None of them is empty, because an empty line ends an answer.
    text: &'static str,
    run: fn(&mut View<'_>, Arguments<'_>, &mut Vec<u8>) -> Answer,
}

type Arguments<'a> = Vec<Cow<'a, [u8]>>;

/// A command: its text as a doc comment, its name, its arguments, a phrase, and what runs it.
macro_rules! commands {
    ($(
        $(#[doc = $text:literal])*
        $name:ident $arguments:literal, $summary:literal, $run:expr;
    )*) => {
        const COMMANDS: &[Command] = &[$(Command {
            name: stringify!($name),
            arguments: $arguments,
            summary: $summary,
            text: concat!($(" ", $text, "\n"),*),
            run: $run,
        }),*];
    };
}

// Each line of a text begins with two spaces: one of its doc comment, and one of the macro.
commands! {
    /// Without an argument it lists all commands: first their names in one line, as Node StatsD
    /// does, then a line about each. With the name of a command it explains that command. An empty
    /// line ends the answer.
    help "[COMMAND]", "lists the commands, or explains one", help;

    /// The answer has the lines of Node StatsD, and ends with END and an empty line.
    ///   uptime                       seconds since the start
    ///   messages.last_msg_seen       seconds since the last packet or line
    ///   messages.bad_lines_seen      bad lines since the start
    ///   udp.ADDRESS.drops            datagrams that the kernel dropped here since the start
    ///   NAME.last_flush              seconds since a flush was acknowledged, or since the start
    ///   NAME.last_exception          seconds since the last failure, or since 1970 if none
    ///   NAME.flush_time              milliseconds from that flush's tick to its acknowledgement
    ///   NAME.flush_length            bytes of that flush
    /// A flush without bytes counts as acknowledged if the destination's connection is up.
    /// NAME is the destination, such as influxdb. As in Node StatsD, [carbon] is called graphite.
    /// So a large last_exception, as 1795862607, means that nothing has failed. Node StatsD does
    /// not set it when carbon refuses or breaks a connection. This server does.
    stats "", "shows uptime, bad lines, dropped datagrams and the last flushes", stats;

    /// Everything about the server as lines of KEY:VALUE, in sections that begin with "# NAME". END
    /// and an empty line follow. info loss shows one section: server, input, series, flush,
    /// destinations, loss, memory, limits.
    ///   KEY_per_second    the mean rise of KEY in the last minute, or since a later start; not
    ///                     shown while KEY is 0
    ///   NAME.KEY          KEY of the destination NAME
    ///   listenerN.KEY     KEY of the listener whose address is listenerN
    ///   KEY_limit         the most that KEY may be; KEY_percent is the used part of it
    /// lost_lines is the sum of all that is lost. In loss, counters that are 0 come last. since is
    /// when a destination came into its state; during an outage it is the time of the failure. All
    /// figures, by section:
    info "[SECTION]", "shows everything about the server, or one section of it", info;

    /// The answer is one JSON object with a line for each counter, sorted by name. END and an empty
    /// line follow. Each value is the sum since the last flush. The server's own counters are
    /// included; their names begin with [namespace] prefix_stats.
    counters "", "shows the counters of the open interval", |_, _, _| dump(MetricKind::Counter);

    /// The answer is one JSON object with a line for each timer, sorted by name. END and an empty
    /// line follow. A timer has a list of its samples since the last flush. If there are more
    /// than 1000, it has an object with their count, sum, lower and upper.
    timers "", "shows the timers of the open interval", |_, _, _| dump(MetricKind::Timing);

    /// The answer is one JSON object with a line for each gauge, sorted by name. END and an empty
    /// line follow. A gauge keeps its value over flushes.
    gauges "", "shows the gauges", |_, _, _| dump(MetricKind::Gauge);

    /// The answer is one JSON object with a line for each set, sorted by name. END and an empty
    /// line follow. Each value is the number of different members since the last flush.
    sets "", "shows the sets of the open interval", |_, _, _| dump(MetricKind::Set);

    /// Deletes the counters with these names, and their values since the last flush. The pattern
    /// web.* stands for every name that begins with "web.". A name includes its tags:
    /// hits;env=prod. A name with blanks is written in quotes, as counters shows it: "a b". The
    /// answer has a line for each: deleted: NAME, or metric NAME not found. It ends with END and an
    /// empty line. A new value makes a new counter.
    delcounters "NAME...", "deletes counters", |_, names, _| delete(MetricKind::Counter, names);

    /// As delcounters, for timers.
    deltimers "NAME...", "deletes timers", |_, names, _| delete(MetricKind::Timing, names);

    /// As delcounters, for gauges. Use it for a gauge whose sender no longer exists.
    delgauges "NAME...", "deletes gauges", |_, names, _| delete(MetricKind::Gauge, names);

    /// As delcounters, for sets.
    delsets "NAME...", "deletes sets", |_, names, _| delete(MetricKind::Set, names);

    /// Shows what a line would do, and does not do it. LINE is the rest of the command, with its
    /// blanks and quotes. The answer ends with END and an empty line.
    ///   line, series, tags, timestamp
    ///                what the server reads: the series with its canonical name
    ///   value        a value: what it does, and whether it is accepted, refused or dropped
    ///   rule         a rule that matches the name, the settings that it gives, and its patterns
    ///   note         what may be a mistake of the client
    ///   sent         a destination, and a name that the series is sent as
    ///   not_sent     a destination, and why it does not get a point
    ///   repeated     a destination that gets the line as it is
    /// Events and service checks are counted, and nothing else. Binary messages are not lines.
    explain "LINE", "shows what a line would do, without doing it", explain;

    /// Shows lines as they arrive, until the client sends an empty line or closes the connection.
    ///   GLOB            only lines whose name matches, as match of a rule does: web.**. It is the
    ///                   name that the client sends, or the one that rules make of it.
    ///   from ADDRESS    only lines of this sender: an address, a network, unix, or unix:PID
    ///   bad             only lines with a value that is refused as bad
    /// Each line has its time, its sender, the line, and these fields:
    ///   verdict         what the server did with the values of the line
    ///   series          the canonical name
    ///   rules           the rules that match the name
    ///   sent            for each destination the first name, and how many more there are
    ///   not_sent        a destination, and why it does not get some of the points
    /// sent names a destination that is down as such: its points wait in the queue. At most 1000
    /// lines a second are shown. If there are more, each sender gets an equal share of them, and
    /// missed=N has the number of lines left out since the last report: not_sampled by this limit,
    /// not_read because the client reads too slowly. The server never waits for the client.
    watch "[GLOB] [from ADDRESS] [bad]", "shows lines as they arrive", watch;

    /// The answer has a line for each destination, then END and an empty line.
    ///   state           one of these:
    ///     idle                   nothing was sent yet, or the connection has ended well
    ///     resolving, connecting  a connection is being made
    ///     up                     connected, or ready to send
    ///     stalled                connected, but nothing was acknowledged for write_timeout
    ///     backing_off            the next attempt is made later
    ///     running, killed        [exec]: the command runs, or took too long
    ///     closed                 [console]: the reader has closed standard output
    ///   queued_bytes    bytes that wait in memory, of at most queue_limit_bytes
    ///   spooled_bytes   bytes that wait on disk, of at most spool_limit_bytes if there is a spool
    ///   dropped_lines   lines lost since the start
    ///   unacknowledged_seconds
    ///                   shown if bytes were written to a connection, and nothing was acknowledged
    ///                   for this time: the process there may not read
    ///   address         where it is; not shown for the console and for commands
    ///   last_error      the last failure, or none
    sinks "", "shows the destinations: state, queue, losses, last error", sinks;

    /// Shows the N (20) senders with the most lines, a line for each. END and an empty line follow.
    /// A sender is an address, or a process with a unix socket: unix:PID.
    ///   user, process   of a unix:PID: its user, and its name if it still runs
    ///   packets         datagrams; a stream has none
    ///   lines, bytes    what was read of them
    ///   bad_lines       refused lines and values; bad_reason is the commonest reason
    ///   series          series that its samples have created
    ///   refused         valid values that a rule, a limit or a lack of memory has dropped;
    ///                   refused_reason is the reason of one of the last
    ///   last_seen       when it last sent something
    ///   sent, received, lost
    ///                   if it has a Datadog client that reports what it sends: packets that the
    ///                   client has sent, that have arrived, and the difference
    ///   dropped_by_client
    ///                   packets that the client reports to have dropped itself
    /// The line others is the sum of all other senders. 512 senders have figures of their own.
    /// With GLOB it counts all lines of one name, or of the names that match, for 5 s or for up to
    /// 1m. Then it shows who has sent them: a line for each socket and type of value.
    ///   lines, values   lines and values of this type; reason shows why bad values are refused
    ///   rates           the sample rates, and the number of values with each: 0.1 x12
    ///   adds            what a counter has grown by, rates included
    ///   mean, min, max, last
    ///                   of the values as the lines have them
    ///   differs         for one name: what differs from most other senders. type, rate, value and
    ///                   lines (by more than a factor of 4). These come first, and a line at the
    ///                   end explains the word.
    /// A line for each rule that drops values of the name follows: dropped by [rule.NAME] values=N.
    /// A host with more than 32 sockets has one line. 256 lines are shown, the rest is in others.
    senders "[N | GLOB [for 5s]]", "shows what each sender has sent, or who sends a name", senders;

    /// Shows the last N (20) bad lines, the oldest first: the time, the sender, the reason and the
    /// line. END and an empty line follow. A line is cut at 200 bytes, which ... shows. The last
    /// 100 are kept.
    bad "[N]", "shows the last bad lines with their senders and reasons", bad;

    /// Shows the N (20) largest since the start, as lines of a number and a name. END and an empty
    /// line follow. Without WHAT it shows samples.
    ///   samples    series with the most samples, up to the last flush, with their type
    ///   new        prefixes (the first two parts of a name) with the most new series. A line after
    ///              them has the newest series.
    ///   newest     prefixes that got a new series last, the newest first, with that series
    ///   senders    senders with the most lines
    ///   bad        senders with the most bad lines
    ///   bytes      senders with the most bytes
    ///   tags       tag keys with the most values
    /// A line +31 more follows if there are more than N. Memory is bounded. With more than 2000
    /// active series, or 1000 prefixes, a count may be too low. A line after the counts shows by
    /// how much at most.
    top "[WHAT] [N]", "shows what brings most: samples, new, newest, senders, bad, bytes or tags", top;

    /// Shows each rule of the configuration: its section, the number of series that its patterns
    /// match, and its settings. Several rules may apply to a series. A rule with drop = yes also
    /// has dropped_values: the values that it has dropped since the start, or since a rule of this
    /// name was added. END and an empty line follow.
    rules "", "shows each rule, the number of its series, and what it dropped", |_, _, _| {
        Answer::Job(Job::Rules(Box::default()))
    };

    /// The answer is one line: health: up, or health: down. With an argument it sets the health
    /// first. The health changes nothing else: proxies in front of several servers ask for it, and
    /// send no traffic to a server that is down. [admin] health is the value at the start.
    health "[up|down]", "shows or sets the health", health;

    /// The answer is a statsd.conf with every key, and ends with an empty line. Passwords are
    /// masked with ***.
    config "", "shows the configuration in force", config;

    /// The answer is one line.
    version "", "shows the version", version;

    /// Nothing is answered.
    quit "", "closes the connection", |_, _, _| Answer::Quit;
}

/// Runs one line. The part of the answer that is known at once is appended to `out`.
pub(super) fn run(line: &[u8], view: &mut View<'_>, out: &mut Vec<u8>) -> Answer {
    let Some((name, arguments)) = next_word(line) else { return Answer::Done };
    match COMMANDS.iter().find(|command| command.name.as_bytes() == name) {
        Some(command) if command.arguments == "LINE" => {
            // The line begins after one blank, and is not split into words.
            let line = arguments.get(1..).unwrap_or_default();
            (command.run)(view, vec![line.into()], out)
        }
        Some(command) => (command.run)(view, words(arguments), out),
        None => {
            out.extend_from_slice(b"ERROR\n");
            Answer::Done
        }
    }
}

/// Whether the line begins with the name of a command.
pub(super) fn begins_with_command(line: &[u8]) -> bool {
    next_word(line)
        .is_some_and(|(name, _)| COMMANDS.iter().any(|command| command.name.as_bytes() == name))
}

/// Returns the first word of `line` and the text after it, or `None` if there is no word.
fn next_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| line.split_at(end))
}

/// Splits `line` at white space that is not in quotes.
///
/// A word in quotes is read as a JSON string. A raw name may begin with a quote, so a word that is
/// no JSON string stays as it is.
fn words(mut line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut words = Vec::new();
    while let Some((word, rest)) = next_word(line) {
        if let Some((text, rest)) = quoted(line.trim_ascii_start()) {
            words.push(Cow::Owned(text.into_bytes()));
            line = rest;
        } else {
            words.push(Cow::Borrowed(word));
            line = rest;
        }
    }
    words
}

/// Reads the JSON string at the start of `text`, which must be a word of its own. Returns it and
/// the text after it.
fn quoted(text: &[u8]) -> Option<(String, &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })?;
    let after = &text[end + 1..];
    if !after.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    // In UTF-16, since an escape may be a half of a character.
    let mut units = Vec::new();
    let mut characters = str::from_utf8(&text[..end]).ok()?.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            '\\' => match characters.next()? {
                'u' => {
                    let (digits, rest) = characters.as_str().split_at_checked(4)?;
                    characters = rest.chars();
                    // The parser alone would also accept a sign.
                    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)?
                }
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                '"' => 0x22,
                '/' => 0x2f,
                '\\' => 0x5c,
                _ => return None,
            },
            character => {
                units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
                continue;
            }
        };
        units.push(unit);
    }
    Some((String::from_utf16(&units).ok()?, after))
}

/// Returns a line about each command, for people.
pub fn summaries() -> String {
    let lines = COMMANDS.iter().map(|command| {
        let Command { name, arguments, summary, .. } = command;
        format!("  {:<20} {summary}\n", format!("{name} {arguments}").trim_end())
    });
    lines.collect()
}

/// Node's clients look for the first line, so it lists the names as Node does, without `help`.
fn help(_: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    let Some(wanted) = arguments.first() else {
        let others = COMMANDS.iter().map(|command| command.name).filter(|name| *name != "help");
        let names: Vec<&str> = others.collect();
        write(out, format_args!("Commands: {}\n{}\n", names.join(", "), summaries()));
        return Answer::Done;
    };
    match COMMANDS.iter().find(|command| command.name.as_bytes() == &**wanted) {
        Some(Command { name, arguments, summary, text, .. }) => {
            let usage = format!("{name} {arguments}");
            let more = if *name == "info" { figures::help() } else { String::new() };
            write(out, format_args!("{}: {summary}\n{text}{more}\n", usage.trim_end()));
        }
        None => out.extend_from_slice(b"ERROR no such command; `help` lists them\n\n"),
    }
    Answer::Done
}

/// As Node's: a first flush that has not been counts from the start, an exception that never was
/// from 1970.
fn stats(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    let now = view.server.now.unix;
    let bad_lines = view.server.engine.own().total(OwnCounter::BadLinesSeen);
    let started = view.server.flush.started.unix;
    // A difference of whole seconds could be one more than the time that has passed.
    let ago = |then: UnixTime| now.as_millis().saturating_sub(then.as_millis()) / 1000;
    let since = |then: Now| then.tick.until(view.server.now.tick).as_secs();
    let last_input = view.server.last_input.unwrap_or(view.server.flush.started);
    write(out, format_args!("uptime: {}\n", since(view.server.flush.started)));
    write(out, format_args!("messages.last_msg_seen: {}\n", since(last_input)));
    write(out, format_args!("messages.bad_lines_seen: {bad_lines}\n"));
    let address = |socket: &DatagramSocket| socket.address().ok()?.as_socket();
    let internet =
        view.server.datagrams.iter().filter_map(|(_, socket)| Some((address(socket)?, socket)));
    for (address, socket) in internet {
        write(out, format_args!("udp.{address}.drops: {}\n", socket.dropped()));
    }
    for sink in view.server.sinks.iter() {
        let name = if sink.name() == "carbon" { "graphite" } else { sink.name() };
        let figures = sink.figures();
        for (field, value) in [
            ("last_flush", ago(figures.last_flush.unwrap_or(started))),
            ("last_exception", ago(figures.last_exception.unwrap_or_default())),
            ("flush_time", u64::try_from(figures.flush_time.as_millis()).unwrap_or(u64::MAX)),
            ("flush_length", figures.flush_length),
        ] {
            write(out, format_args!("{name}.{field}: {value}\n"));
        }
    }
    write(out, format_args!("END\n\n"));
    Answer::Done
}

fn info(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    match super::info::info(view, arguments.first().map(|name| &**name)) {
        Ok(text) => write(out, format_args!("{text}END\n\n")),
        Err(error) => write(out, format_args!("{error}\nEND\n\n")),
    }
    Answer::Done
}

fn explain(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    put_explanation(view, arguments.first().map_or(&b""[..], |line| line), out);
    Answer::Done
}

fn watch(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    match WatchFilter::parse(&arguments) {
        Ok(filter) => {
            write(out, format_args!("watching; an empty line ends it\n"));
            Answer::Job(Job::Watch(Box::new(view.watch.add(filter))))
        }
        Err(error) => {
            write(out, format_args!("ERROR {error}\n"));
            Answer::Done
        }
    }
}

fn sinks(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    if view.server.sinks.iter().next().is_none() {
        let shown =
            if view.server.config.admin.shows_series() { "shown in /metrics" } else { "dropped" };
        write(out, format_args!("# no destination is on: what arrives is added up and {shown}\n"));
    }
    put_sinks(view, out);
    write(out, format_args!("END\n\n"));
    Answer::Done
}

fn senders(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    if arguments.first().is_some_and(|word| !is_number(word)) {
        return match count_senders(view, &arguments) {
            Ok((counting, seconds)) => {
                write(out, format_args!("counting for {seconds} s\n"));
                Answer::Job(Job::Senders(counting))
            }
            Err(error) => {
                write(out, format_args!("ERROR {error}\nEND\n\n"));
                Answer::Done
            }
        };
    }
    answer(out, most(arguments.first()), NO_SENDER, |most, _| Some(SenderList::all(view, most)))
}

/// Begins to count the lines of a name by their senders. Returns for how many seconds.
fn count_senders(
    view: &mut View<'_>,
    arguments: &Arguments<'_>,
) -> Result<(SenderCountJob, u64), &'static str> {
    let mut words = arguments.iter().map(|word| String::from_utf8_lossy(word));
    let name = words.next().unwrap_or_default();
    let seconds = match (words.next().as_deref(), words.next(), words.next()) {
        (None, ..) => Some(5),
        (Some("for"), Some(time), None) => time.parse().ok().or_else(|| {
            let time = humantime::parse_duration(&time).ok()?;
            (time.subsec_nanos() == 0).then_some(time.as_secs())
        }),
        _ => None,
    };
    let is_allowed = |seconds: &u64| (1..=60).contains(seconds);
    let seconds =
        seconds.filter(is_allowed).ok_or("expected N, or GLOB [for 5s], from 1s to 1m")?;
    let glob = Glob::for_any_name(&name)?;
    let end = view.server.now.tick + Duration::from_secs(seconds);
    let counting = view.watch.count(glob, end).ok_or("too many clients count lines; try again")?;
    Ok((counting, seconds))
}

fn bad(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    answer(out, most(arguments.first()), NO_BAD_LINE, |most, out| {
        put_bad_lines(view, most, out);
        None
    })
}

fn top(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    let (what, number) = match &arguments[..] {
        [] => (&b"samples"[..], None),
        [number] if is_number(number) => (&b"samples"[..], Some(number)),
        [what, rest @ ..] => (&**what, rest.first()),
    };
    let nothing = match what {
        b"samples" => "none yet; samples are counted at each flush",
        b"senders" | b"bytes" => NO_SENDER,
        b"bad" => NO_BAD_LINE,
        b"tags" => "no tag yet",
        _ => "no new series yet",
    };
    answer(out, most(number), nothing, |most, out| put_top(view, what, most, out))
}

const NO_SENDER: &str = "no sender yet";
const NO_BAD_LINE: &str = "no bad line yet";

fn is_number(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_digit)
}

/// Returns how many entries to show, or `None` if the word is no number.
fn most(word: Option<&Cow<'_, [u8]>>) -> Option<usize> {
    let Some(word) = word else { return Some(20) };
    str::from_utf8(word).ok()?.parse().ok()
}

/// Writes entries, or `nothing` if there are none, and the end of the answer. A list of senders
/// that `put` returns is written in the next turns.
fn answer(
    out: &mut Vec<u8>,
    most: Option<usize>,
    nothing: &str,
    put: impl FnOnce(usize, &mut Vec<u8>) -> Option<SenderList>,
) -> Answer {
    match most {
        Some(most) => {
            let start = out.len();
            match put(most, out).filter(|list| !list.is_empty()) {
                Some(list) => return Answer::Job(Job::SenderList(list)),
                None if out.len() == start && most > 0 => write(out, format_args!("{nothing}\n")),
                None => {}
            }
        }
        None => out.extend_from_slice(b"ERROR N must be a number\n"),
    }
    with_end(true, out);
    Answer::Done
}

fn dump(kind: MetricKind) -> Answer {
    Answer::Job(Job::Dump(Box::new(Dump::new(kind))))
}

fn delete(kind: MetricKind, names: Arguments<'_>) -> Answer {
    let names = names.into_iter().map(|name| name.into_owned().into()).collect();
    Answer::Job(Job::Delete(Box::new(Delete::new(kind, names))))
}

fn health(view: &mut View<'_>, arguments: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    match arguments.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        Some(b"up") => *view.health = Health::Up,
        Some(b"down") => *view.health = Health::Down,
        None => {}
        Some(_) => {
            out.extend_from_slice(b"ERROR expected up or down\n");
            return Answer::Done;
        }
    }
    write(out, format_args!("health: {}\n", view.health.name()));
    Answer::Done
}

fn config(view: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    // An empty line ends the answer, so there is none inside it.
    for line in render_masked(view.server.config).lines().filter(|line| !line.is_empty()) {
        write(out, format_args!("{line}\n"));
    }
    write(out, format_args!("\n"));
    Answer::Done
}

fn version(_: &mut View<'_>, _: Arguments<'_>, out: &mut Vec<u8>) -> Answer {
    write(out, format_args!("{}\n", crate::args::VERSION));
    Answer::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::SinkState;

    #[test]
    fn every_command_has_a_phrase_and_a_text() {
        for Command { name, summary, text, .. } in COMMANDS {
            assert!(!summary.is_empty() && !summary.ends_with('.'), "{name}");
            assert!(text.ends_with('\n') && text.lines().all(|line| !line.is_empty()), "{name}");
            assert!(text.lines().all(|line| line.len() <= 100), "{name}");
        }
        assert!(summaries().lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn the_help_of_sinks_explains_every_state() {
        let sinks = COMMANDS.iter().find(|command| command.name == "sinks").unwrap();
        for state in [
            SinkState::Idle,
            SinkState::Resolving,
            SinkState::Connecting,
            SinkState::Up,
            SinkState::Stalled,
            SinkState::BackingOff,
            SinkState::Running,
            SinkState::Killed,
            SinkState::Closed,
        ] {
            assert!(sinks.text.contains(state.name()), "{state:?}");
        }
    }

    #[test]
    fn quoted_words_are_read_as_json_and_others_stay() {
        for (line, expected) in [
            ("", &[][..]),
            (" a  b\tc ", &["a", "b", "c"]),
            (r#""c d" e"#, &["c d", "e"]),
            (r#"a "c  d.*""#, &["a", "c  d.*"]),
            (r#""a\"b\\" "c""#, &["a\"b\\", "c"]),
            (r#""\u00e9\u0041 \ud83d\ude00""#, &["\u{e9}A \u{1f600}"]),
            (r#""""#, &[""]),
            // Words that are no JSON strings stay as they are.
            (r#""a b"#, &["\"a", "b"]),
            (r#"a"b c""#, &["a\"b", "c\""]),
            (r#""a"b c"#, &["\"a\"b", "c"]),
            (r#""\x" b"#, &[r#""\x""#, "b"]),
            (r#""\ud83d" b"#, &[r#""\ud83d""#, "b"]),
            (r#""\u00" b"#, &[r#""\u00""#, "b"]),
            (r#""\u+041" b"#, &[r#""\u+041""#, "b"]),
        ] {
            let found = words(line.as_bytes());
            let found: Vec<&str> = found.iter().map(|word| str::from_utf8(word).unwrap()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
