//! The paths that HTTP clients may ask for, one row each.

use std::borrow::Cow;

use super::accept::exposition;
use super::history::HistoryPage;
use super::host::{Authority, machine};
use super::metrics::MetricsPage;
use super::reply::{AnswerStream, JSON, Reply, TEXT};
use super::request::{Method, WebRequest};
use super::sender_list::SenderPage;
use super::series_list::{SeriesList, put_dropped_by, put_one, read_kind};
use super::server_info;
use super::status::HttpStatus;
use crate::admin::json::JsonWriter;
use crate::admin::page;
use crate::admin::view::{Health, View};
use crate::admin::watch::WatchFilter;
use crate::config::MetricsShown;

/// A path and what answers it.
struct Route {
    path: &'static str,
    answer: fn(&WebRequest<'_>, &mut View<'_>) -> Reply,
}

const ROUTES: &[Route] = &[
    Route { path: "/health", answer: health },
    Route { path: "/-/healthy", answer: healthy },
    Route { path: "/-/ready", answer: ready },
    Route { path: "/metrics", answer: metrics },
    Route { path: "/api/info", answer: info },
    Route { path: "/api/senders", answer: senders },
    Route { path: "/api/history", answer: points },
    Route { path: "/api/series", answer: series },
    Route { path: "/api/watch", answer: watch },
];

/// Returns the answer to a request. Nothing that a request holds changes the server.
pub(super) fn answer(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    if request.method == Method::Other {
        return Reply::text(HttpStatus::MethodNotAllowed, "only GET and HEAD are allowed\n");
    }
    let route = ROUTES.iter().find(|route| route.path == request.path);
    if !takes_any_host(request.path)
        && let Some(refusal) = refusal_of_host(request, view)
    {
        return refusal;
    }
    match route {
        Some(route) => (route.answer)(request, view),
        None => match page::file(request.path) {
            Some(file) => Reply::file(file, request.takes_gzip),
            None => not_found(request.path),
        },
    }
}

/// Whether a path is answered whatever the host of the request. Probes of load balancers send any
/// host, or none. A path that does not exist must not look as if the host were the reason.
fn takes_any_host(path: &str) -> bool {
    path == "/health" || path.starts_with("/-/")
}

/// Returns the answer to a request that is for another host, or names none.
fn refusal_of_host(request: &WebRequest<'_>, view: &View<'_>) -> Option<Reply> {
    if let Some(error) = request.host_error {
        return Some(Reply::text(HttpStatus::BadRequest, error));
    }
    let machine = machine();
    let is_foreign =
        |host: &&Authority<'_>| !host.is_ours(&machine, &view.server.config.admin.hosts);
    let foreign = request.hosts.iter().find(is_foreign)?.as_str();
    Some(Reply::text(
        HttpStatus::Forbidden,
        format!(
            "\"{foreign}\" is not known as a name of this server. Use its IP address, or add the \
             name to hosts in section [admin] of its configuration, and reload it.\n"
        ),
    ))
}

/// Returns the answer about something that does not exist.
fn not_found(path: &str) -> Reply {
    if path.starts_with("/api/") {
        return json_error(HttpStatus::NotFound, "no such path");
    }
    Reply::text(HttpStatus::NotFound, "no such path\n")
}

fn json_error(status: HttpStatus, error: &str) -> Reply {
    let mut text = Vec::new();
    JsonWriter::new(&mut text).open(b'{').key("error").string(error.as_bytes()).close(b'}');
    Reply::json(status, text)
}

/// The figures of the server, and every series, in the format that the client prefers.
fn metrics(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    if view.server.config.admin.metrics == MetricsShown::Off {
        return Reply::text(HttpStatus::NotFound, "metrics = off in section [admin]\n");
    }
    let format = exposition(request.accept.as_deref());
    let page = Box::new(MetricsPage::new(format));
    Reply::stream(MetricsPage::content_type(format), AnswerStream::Metrics(page))
}

/// All about the server.
fn info(_: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    let mut text = Vec::new();
    server_info::put(view, &mut text);
    Reply::json(HttpStatus::Ok, text)
}

/// The remembered points of a series or a figure.
fn points(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    match HistoryPage::new(request, view) {
        Ok(page) => Reply::stream(JSON, AnswerStream::History(Box::new(page))),
        Err((status, error)) => json_error(status, &error),
    }
}

/// What each sender has sent.
fn senders(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    match SenderPage::new(request, view) {
        Ok(page) => Reply::stream(JSON, AnswerStream::Senders(Box::new(page))),
        Err(error) => json_error(HttpStatus::BadRequest, error),
    }
}

/// The series that a search finds, or all about one.
fn series(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    if let Some(name) = request.parameter("name") {
        let kind = match read_kind(request) {
            Ok(Some(kind)) => kind,
            Ok(None) => return json_error(HttpStatus::BadRequest, "name needs kind"),
            Err(error) => return json_error(HttpStatus::BadRequest, error),
        };
        let mut text = Vec::new();
        if put_one(view, kind, &name, &mut text) {
            return Reply::json(HttpStatus::Ok, text);
        }
        let mut json = JsonWriter::new(&mut text);
        json.open(b'{').key("error").string(b"no such series");
        put_dropped_by(&name, view, &mut json);
        json.close(b'}');
        return Reply::json(HttpStatus::NotFound, text);
    }
    match SeriesList::new(request) {
        Ok(list) => Reply::stream(JSON, AnswerStream::Series(Box::new(list))),
        Err(error) => json_error(HttpStatus::BadRequest, error),
    }
}

/// Lines as they arrive, as the command `watch` shows them.
fn watch(request: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    let mut words: Vec<Cow<'_, [u8]>> = Vec::new();
    for (parameter, word) in [("name", None), ("from", Some("from"))] {
        if let Some(text) = request.parameter(parameter).filter(|text| !text.is_empty()) {
            words.extend(word.map(|word| word.as_bytes().into()));
            words.push(text.into());
        }
    }
    if request.parameter("bad").is_some_and(|text| text == b"1") {
        words.push(b"bad".into());
    }
    match WatchFilter::parse(&words) {
        Ok(filter) => Reply::stream(TEXT, AnswerStream::Watch(Box::new(view.watch.add(filter)))),
        Err(error) => json_error(HttpStatus::BadRequest, &error),
    }
}

/// As the command `health`.
fn health(_: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    match *view.health {
        Health::Up => Reply::text(HttpStatus::Ok, "up\n"),
        Health::Down => Reply::text(HttpStatus::Unavailable, "down\n"),
    }
}

/// The loop runs, or there would be no answer.
fn healthy(_: &WebRequest<'_>, _: &mut View<'_>) -> Reply {
    Reply::text(HttpStatus::Ok, "the server runs\n")
}

fn ready(_: &WebRequest<'_>, view: &mut View<'_>) -> Reply {
    match *view.health {
        _ if view.is_stopping => Reply::text(HttpStatus::Unavailable, "the server stops\n"),
        Health::Up => Reply::text(HttpStatus::Ok, "the server takes metrics\n"),
        Health::Down => Reply::text(HttpStatus::Unavailable, "health is down\n"),
    }
}
