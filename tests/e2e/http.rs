//! HTTP on the admin port: what each request gets, and what no request can do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use nix::unistd::gethostname;
use serde_json::Value;

use crate::support::{Conf, Daemon, FakeCarbon, Page, until_true};

/// Sends these bytes on a connection of their own, and returns the answer.
fn answer_to(daemon: &Daemon, request: &str) -> Page {
    let mut web = daemon.web();
    web.send(request);
    web.answer()
}

/// Returns the status of a request for a path and a host.
fn status_for(daemon: &Daemon, path: &str, host: &str) -> u16 {
    answer_to(daemon, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status
}

/// Shows the health paths, for probes that send any host or none, and that they follow the command
/// `health`.
#[test]
fn health_paths_answer_any_host() {
    let daemon = Daemon::start(&Conf::never_flushing());
    for path in ["/health", "/-/healthy", "/-/ready"] {
        assert_eq!(status_for(&daemon, path, "evil.example"), 200, "{path}");
        for version in ["1.0", "1.1"] {
            let without = format!("GET {path} HTTP/{version}\r\n\r\n");
            assert_eq!(answer_to(&daemon, &without).status, 200, "{without}");
        }
    }
    assert_eq!(status_for(&daemon, "/-/nope", "evil.example"), 404);
    assert_eq!(status_for(&daemon, "/-/", "evil.example"), 404);
    assert_eq!(status_for(&daemon, "/nope", "evil.example"), 403);
    assert_eq!(answer_to(&daemon, "GET /api/info HTTP/1.1\r\n\r\n").status, 400);
    let mut web = daemon.web();
    assert_eq!(web.get("/health").body, "up\n");
    daemon.admin().ask("health down");
    let page = web.get("/health");
    assert_eq!((page.status, page.body.as_str()), (503, "down\n"));
    assert_eq!(web.get("/-/ready").status, 503);
    assert_eq!(web.get("/-/healthy").status, 200, "the loop runs");
    daemon.admin().ask("health up");
    assert_eq!(web.get("/-/ready").status, 200);
}

/// Shows that a server which stops is not ready, and still answers.
#[test]
fn a_server_that_stops_is_not_ready() {
    let carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s").set("statsd", "shutdown_timeout", "1m");
    let daemon = Daemon::start(&conf);
    let mut web = daemon.web();
    until_true("a flush that waits", || daemon.admin().ask("sinks").contains("backing_off"));
    daemon.sigterm();
    until_true("not ready", || web.get("/-/ready").status == 503);
    assert_eq!((web.get("/-/healthy").status, web.get("/health").status), (200, 200));
}

/// Shows that requests follow each other on one connection, also without waiting for the answers
/// and in any pieces.
#[test]
fn a_connection_serves_many_requests() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut web = daemon.web();
    for _ in 0..3 {
        assert_eq!(web.get("/health").field("Connection"), Some("keep-alive"));
        assert!(web.get("/api/series").json()["series"].is_array());
    }
    let mut requests = String::new();
    for (method, path) in
        [("GET", "/health"), ("HEAD", "/health"), ("GET", "/api/series"), ("GET", "/-/ready")]
    {
        write!(requests, "{method} {path} HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n").unwrap();
    }
    for pieces in [requests.len(), 7, 1] {
        for piece in requests.as_bytes().chunks(pieces) {
            web.send(piece);
        }
        assert_eq!(web.answer().body, "up\n");
        let head = web.answer_without_body();
        assert_eq!((head.status, head.field("Content-Length")), (200, Some("3")));
        assert!(web.answer().json()["series"].is_array());
        assert_eq!(web.answer().status, 200);
    }
    web.send("GET /health HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n");
    let last = web.answer();
    assert_eq!((last.status, last.field("Connection")), (200, Some("close")));
    assert_eq!(web.rest(), b"");
}

/// Shows that a client of HTTP/1.0 gets no chunks, and the end of the connection as the end.
#[test]
fn http_1_0_ends_with_the_connection() {
    let daemon = Daemon::start(&Conf::never_flushing());
    for path in ["/health", "/api/series", "/nope"] {
        let mut web = daemon.web();
        web.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
        let page = web.answer();
        assert_eq!(page.field("Transfer-Encoding"), None);
        assert_eq!((page.field("Connection"), web.rest()), (Some("close"), vec![]), "{page:?}");
    }
    let mut web = daemon.web();
    for _ in 0..2 {
        web.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(web.answer().field("Connection"), Some("keep-alive"));
    }
}

/// Shows the status of everything that is not answered, and that the connection is closed after
/// what cannot be read.
#[test]
fn what_is_refused_has_a_status() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000));
    let endless = format!("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n{}", "a: b\r\n".repeat(2_000));
    for (request, status) in [
        ("GET /nope HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        ("GET /api/nope HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        ("GET /health/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        ("GET //health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        ("GET /../health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        ("GET /api/series?n=x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("GET /api/senders?n=x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("GET /api/history HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("GET /api/history?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("GET /api/history?name=a&kind=x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        ("GET /api/info HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 405),
        ("DELETE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        ("health /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nrubbish\r\n\r\n", 400),
        ("GET \r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&long, 431),
        (&endless, 431),
    ] {
        let page = answer_to(&daemon, request);
        assert_eq!(page.status, status, "{request:.60}: {page:?}");
        let allowed = (status == 405).then_some("GET, HEAD");
        assert_eq!(page.field("Allow"), allowed, "{page:?}");
        assert!(!page.body.is_empty() && page.body.len() < 500);
        if [400, 431, 505].contains(&status) && !request.contains("/api/") {
            assert_eq!(page.field("Connection"), Some("close"), "{page:?}");
        }
    }
    // The health paths answer any host, also one that is none.
    for path in ["/health", "/-/healthy", "/-/ready"] {
        for host in ["::1", "a b", "[::1", "evil.example", "b\u{e9}"] {
            assert_eq!(status_for(&daemon, path, host), 200, "{path} {host}");
        }
    }
    // A head that never ends is not answered, and no harm is done.
    let mut web = daemon.web();
    web.send("GET /health HTTP/1.1\r\nHost: ");
    web.shut_down();
    assert_eq!(web.rest(), b"");
    assert_eq!(daemon.web().get("/health").status, 200);
}

/// Shows that a page of another site whose name points at this machine reads nothing, unless the
/// operator has listed that name.
#[test]
fn a_foreign_host_is_refused() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf);
    let machine = gethostname().unwrap().into_string().unwrap();
    for host in ["127.0.0.1", "[::1]:80", "localhost:8126", "LOCALHOST", "10.9.8.7", &machine] {
        assert_eq!(status_for(&daemon, "/api/series", host), 200, "{host}");
        assert_eq!(status_for(&daemon, "/nope", host), 404, "{host}");
    }
    for path in ["/api/series", "/", "/nope", "/metrics"] {
        let page =
            answer_to(&daemon, &format!("GET {path} HTTP/1.1\r\nHost: evil.example:1\r\n\r\n"));
        assert_eq!(page.status, 403, "{page:?}");
        let names_the_key = page.body.contains("hosts in section [admin]");
        assert!(names_the_key && page.body.contains("evil.example"), "{page:?}");
    }
    let url = "GET http://evil.example/api/series HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    assert_eq!(answer_to(&daemon, url).status, 403);
    daemon.reload(&conf.clone().set("admin", "hosts", "stats.example.org, other"));
    until_true("a listed host", || {
        status_for(&daemon, "/api/series", "Stats.Example.Org:8126") == 200
    });
    assert_eq!(status_for(&daemon, "/api/series", "evil.example"), 403);
    daemon.reload(&conf.set("admin", "hosts", "*"));
    until_true("any host", || status_for(&daemon, "/api/series", "evil.example") == 200);
}

/// Shows that a body is neither read as a request nor as a command.
#[test]
fn a_body_is_never_read() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["keep:1|c"]);
    daemon.until_counter("keep", 1.0);
    let hidden = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nhealth down\ndelcounters keep\n";
    let length = hidden.len();
    for (request, status) in [
        (format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"), 405),
        (format!("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"), 200),
        ("GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 200),
        ("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".into(), 400),
    ] {
        let mut web = daemon.web();
        web.send(format!("{request}{hidden}"));
        let page = web.answer();
        assert_eq!((page.status, page.field("Connection")), (status, Some("close")), "{page:?}");
        assert_eq!(String::from_utf8(web.rest()).unwrap(), "", "one answer");
    }
    let mut admin = daemon.admin();
    assert_eq!(admin.numbers("counters")["keep"], 1.0);
    assert_eq!(admin.ask("health"), "health: up\n");
}

/// Shows that with `http = no` a connection that begins as HTTP is closed, and that a reload
/// changes that.
#[test]
fn http_can_be_switched_off() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf.clone().set("admin", "http", "no"));
    let mut web = daemon.web();
    web.send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(web.rest(), b"");
    assert_eq!(daemon.admin().ask("health"), "health: up\n");
    daemon.reload(&conf);
    daemon.until_logged(&["reload=done"], 1);
    assert_eq!(daemon.web().get("/health").status, 200);
}

/// Shows the fields that keep a browser from doing more with an answer than it should.
#[test]
fn answers_have_security_fields() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let page = daemon.web().get("/api/series");
    assert_eq!(page.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.field("Cache-Control"), Some("no-store"));
    assert!(page.field("Content-Security-Policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.field("Access-Control-Allow-Origin"), None);
    assert_eq!(page.field("Content-Encoding"), None);
    assert!(page.field("Date").unwrap().ends_with(" GMT"));
}

/// Shows that a client which takes gzip gets the files of the page compressed, and every other one
/// gets every answer plain.
#[test]
fn only_the_page_is_compressed_and_only_for_clients_that_take_it() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut web = daemon.web();
    let index = web.get("/").body;
    let named = index.split('"').filter(|word| word.starts_with("page/"));
    let mut paths: Vec<String> = named.map(|path| format!("/{path}")).collect();
    for script in web.get("/page/page.js").body.split('"') {
        paths.extend(script.strip_prefix("./").map(|name| format!("/page/{name}")));
    }
    paths.push("/".to_owned());
    assert!(paths.len() > 12, "{paths:?}");
    for path in &paths {
        let plain = web.get(path);
        assert_eq!((plain.status, plain.field("Content-Encoding")), (200, None), "{path}");
        assert_eq!(plain.field("Vary"), Some("Accept-Encoding"), "{path}");
        let host = web.address();
        let head = format!("{path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: br, gzip\r\n\r\n");
        web.send(format!("GET {head}"));
        let (page, gzip) = web.answer_with_bytes();
        assert_eq!(page.field("Content-Encoding"), Some("gzip"), "{path}");
        assert_eq!(page.field("Vary"), Some("Accept-Encoding"), "{path}");
        assert_eq!(page.field("Content-Type"), plain.field("Content-Type"), "{path}");
        let deflated = &gzip[10..gzip.len() - 8];
        let inflated = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        assert!(inflated == plain.body.as_bytes() && gzip.len() < inflated.len(), "{path}");
        web.send(format!("HEAD {head}"));
        let page = web.answer_without_body();
        assert_eq!(page.field("Content-Length"), Some(&*gzip.len().to_string()), "{path}");
    }
    for path in ["/health", "/metrics", "/api/info", "/api/series", "/api/senders", "/nope"] {
        let page = web.get_with(path, "Accept-Encoding: gzip\r\n");
        assert_eq!((page.field("Content-Encoding"), page.field("Vary")), (None, None), "{path}");
    }
}

/// Shows that a search for a series that a rule drops names that rule.
#[test]
fn the_api_names_the_rule_that_drops() {
    let conf = Conf::never_flushing()
        .set("rule.keep", "match", "shop.orders.paid")
        .set("rule.keep", "drop", "no")
        .set("rule.shop", "match", "shop.orders.*, noise")
        .set("rule.shop", "drop", "yes")
        .set("rule.test", "match", "test.*")
        .set("rule.test", "drop", "yes");
    let daemon = Daemon::start(&conf);
    daemon.send(["shop.orders.paid:1|c\nshop.orders.sent:1|c\nnoise:1|g\ntest.a:1|c\nend:1|c"]);
    daemon.until_counter("end", 1.0);
    let mut web = daemon.web();
    let info = web.get("/api/info").json();
    let rules = info["drop_rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2, "{info}");
    assert_eq!(rules[0]["name"].as_str(), Some("rule.shop"), "{info}");
    assert_eq!(texts(&rules[0]["match"]), ["shop.orders.*", "noise"], "{info}");
    assert_eq!((&rules[0]["dropped_values"], &rules[1]["dropped_values"]), (&2.into(), &1.into()));
    for (text, rule) in [
        ("", None),
        ("shop.orders.sent", Some("rule.shop")),
        ("shop.orders.paid", None),
        ("shop.orders.sent%3Benv=prod", Some("rule.shop")),
        ("orders", Some("rule.shop")),
        ("shop.orders.*", Some("rule.shop")),
        ("web.hits", None),
    ] {
        let found = web.get(&format!("/api/series?q={text}")).json();
        assert_eq!(found["dropped_by"].as_str(), rule, "{text}: {found}");
    }
    let missing = web.get("/api/series?name=noise&kind=gauge");
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["dropped_by"].as_str(), Some("rule.shop"));
    assert!(web.get("/api/series?name=x&kind=gauge").json()["dropped_by"].is_null());
}

/// Shows that the senders are sorted by what the client requests, and that the rest is summed.
#[test]
fn senders_are_sorted() {
    let daemon = Daemon::start(&Conf::never_flushing());
    for (last, lines) in [(1, "a:1|c\nb:1|c\nc:1|c"), (2, "a:1|c\nbad"), (3, "a:1|c\n")] {
        let socket = std::net::UdpSocket::bind(("127.0.0.1".to_owned() + &last.to_string(), 0));
        socket.unwrap().send_to(lines.as_bytes(), daemon.udp()).unwrap();
    }
    daemon.until_counter("a", 3.0);
    let mut web = daemon.web();
    let mut names = |query: &str| -> Vec<String> {
        let answer = web.get(&format!("/api/senders?{query}")).json();
        let all = answer["senders"].as_array().unwrap().iter();
        all.map(|one| one["sender"].as_str().unwrap().replace("127.0.0.1", "")).collect()
    };
    assert_eq!(names(""), ["1", "2", "3"]);
    assert_eq!(names("sort=bad"), ["2", "1", "3"]);
    assert_eq!(names("sort=lines&desc=0&n=2"), ["3", "2"]);
    assert_eq!(names("sort=series&n=1"), ["1"]);
    assert_eq!(web.get("/api/senders?sort=nope").status, 400);
}

/// Shows lines as they arrive, only to a client that asks for them, until it leaves.
#[test]
fn lines_are_watched_over_http() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut web = daemon.web();
    let host = web.address();
    web.send(format!("GET /api/watch?name=web.* HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let page = web.answer_without_body();
    assert_eq!((page.status, page.field("Transfer-Encoding")), (200, Some("chunked")));
    daemon.send(["shop.hits:1|c\nweb.hits:2|c"]);
    let lines = web.chunk();
    assert!(lines.contains(" 127.0.0.1:") && lines.contains(" line=\"web.hits:2|c\" "), "{lines}");
    assert!(lines.contains(" series=\"web.hits\" ") && !lines.contains("shop"), "{lines}");
    daemon.send(["web.bad:x|c"]);
    assert!(web.chunk().contains(" verdict=\"refused: "));
    web.shut_down();
    assert_eq!(web.rest(), b"", "the server closes the connection");
    let refused = daemon.web().get("/api/watch?from=nobody");
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().unwrap().contains("expected an address"));
}

/// Shows that a search filters and sorts, and counts what it leaves out.
#[test]
fn series_are_searched() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let lines: String = (0..3000).map(|n| format!("many.{n:04}:{n}|c\n")).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    daemon.send(["web.a:5|g\nweb.b:7|ms|@0.5\nweb.b:9|ms\nweb.c:x|s\nweb.c:y|s\nlast:1|c|#env:x"]);
    daemon.until_counter("many.2999", 2999.0);
    daemon.until_counter("last;env=x", 1.0);
    let mut web = daemon.web();
    let mut search = |query: &str| web.get(&format!("/api/series?{query}")).json();
    let names = |found: &Value| -> Vec<String> {
        let all = found["series"].as_array().unwrap().iter();
        all.map(|series| series["name"].as_str().unwrap().to_owned()).collect()
    };
    let found = search("");
    assert_eq!((found["total"].as_u64(), found["matched"].as_u64()), (Some(3004), Some(3004)));
    assert_eq!((names(&found).len(), names(&found)[0].as_str()), (200, "last;env=x"));
    let found = search("q=web");
    assert_eq!(names(&found), ["web.a", "web.b", "web.c"]);
    let entry =
        |at: usize| (found["series"][at]["kind"].as_str(), found["series"][at]["value"].as_f64());
    assert_eq!(entry(0), (Some("gauge"), Some(5.0)));
    assert_eq!(entry(1), (Some("timer"), Some(3.0)));
    assert_eq!(entry(2), (Some("set"), Some(2.0)));
    assert_eq!(names(&search("q=web.%3F&kind=set")), ["web.c"]);
    assert_eq!(names(&search("q=*env%3Dx")), ["last;env=x"]);
    assert_eq!(names(&search("q=nothing")), [""; 0]);
    let found = search("q=many.*&sort=value&desc=1&n=3");
    assert_eq!(found["matched"].as_u64(), Some(3000));
    assert_eq!(names(&found), ["many.2999", "many.2998", "many.2997"]);
    assert_eq!(names(&search("q=many.*&sort=value&n=2")), ["many.0000", "many.0001"]);
    assert_eq!(names(&search("q=many&desc=1&n=2")), ["many.2999", "many.2998"]);
    assert_eq!(names(&search("n=1000")).len(), 1000);
}

/// Shows who sends, what the server counts, and all about one series.
#[test]
fn the_api_shows_senders_figures_and_a_series() {
    let daemon = Daemon::start(&Conf::flushing_every("1s"));
    daemon.send(["a:3|c\nbad\nb:1|ms\nb:3|ms"]);
    let mut web = daemon.web();
    until_true("a flush", || {
        let series = web.get("/api/series?name=b&kind=timer");
        series.status == 200 && series.json()["total"].as_f64() == Some(2.0)
    });
    let senders = web.get("/api/senders").json();
    let sender = &senders["senders"][0];
    assert_eq!(sender["sender"].as_str(), Some("127.0.0.1"), "{senders}");
    assert_eq!((sender["lines"].as_u64(), sender["bad_lines"].as_u64()), (Some(4), Some(1)));
    assert!(sender["bad_reason"].is_string() && sender["reported"].is_null(), "{senders}");
    assert_eq!(senders["others"]["count"].as_u64(), Some(0));
    let info = web.get("/api/info").json();
    assert_eq!(info["health"].as_str(), Some("up"));
    assert_eq!(info["bad"][0]["count"].as_u64(), Some(1), "{info}");
    assert_eq!(info["lost_lines"].as_u64(), Some(1), "{info}");
    assert_eq!(info["listeners"][0]["lines"].as_u64(), Some(4), "{info}");
    for section in ["server", "input", "series", "flush", "loss", "memory", "limits"] {
        let figures = info["sections"][section].as_array().unwrap();
        assert!(figures.iter().all(|figure| figure["doc"].is_string()), "{figures:?}");
    }
    // The page names the places of a loss by this field.
    let losses = info["sections"]["loss"].as_array().unwrap();
    let lost = losses.iter().filter(|figure| figure["lost"] == true && figure["value"] == 1.0);
    let names: Vec<_> = lost.map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bad_lines_seen"], "{losses:?}");
    let series = web.get("/api/series?name=a&kind=counter").json();
    assert_eq!((series["total"].as_f64(), series["kind"].as_str()), (Some(3.0), Some("counter")));
    assert_eq!(series["sender"].as_str(), Some("127.0.0.1"), "{series}");
    let series = web.get("/api/series?name=b&kind=timer").json();
    assert!(series["figures"].is_object(), "{series}");
    let history = web.get("/api/history?name=a&kind=counter").json();
    assert_eq!((history["step"].as_f64(), history["columns"][0].as_str()), (Some(1.0), Some("t")));
    assert_eq!(history["points"][0][1].as_f64(), Some(3.0), "{history}");
    let history = web.get("/api/history?figure=bad_lines_seen").json();
    assert!(history["points"][0].as_array().unwrap().len() == 2, "{history}");
    assert_eq!(web.get("/api/history?figure=nope").status, 404);
    let kept = &info["history"];
    assert!(kept["series"].as_u64() >= Some(2), "{info}");
    assert!(kept["reserved"].as_f64() > kept["bytes"].as_f64(), "a few of many points: {kept}");
    assert_eq!(web.get("/api/series?name=nope&kind=set").status, 404);
    assert_eq!(web.get("/api/series?name=a").status, 400);
    assert!(web.get("/").body.contains("<!doctype html>"), "the page");
}

/// Shows that after a flush each figure that the page names or charts has points, also those that
/// no flush sends.
#[test]
fn every_figure_has_a_history() {
    let daemon = Daemon::start(&Conf::flushing_every("1s"));
    daemon.send(["a:3|c\nbad\nb:1|ms"]);
    let mut web = daemon.web();
    let mut highest = |figure: &str, label: &str| {
        let page = web.get(&format!("/api/history?figure={figure}&labels={label}"));
        let json = page.json();
        let points = json["points"].as_array().into_iter().flatten();
        points.filter_map(|point| point[1].as_f64()).reduce(f64::max)
    };
    for figure in ["metrics_received", "lost_lines", "bad_lines_seen", "series", "resident_bytes"] {
        until_true(figure, || highest(figure, "") > Some(0.0));
    }
    assert!(highest("processing_time_ms", "").is_some());
    assert_eq!(highest("series", ""), Some(2.0));
    assert_eq!(highest("series", "counter"), Some(1.0));
    let info = daemon.web().get("/api/info").json();
    let mut charted = 0;
    for (section, rows) in info["sections"].as_object().unwrap() {
        for row in rows.as_array().unwrap() {
            let labels = row["labels"].as_object();
            let is_reason = labels.is_some_and(|labels| labels.contains_key("reason"));
            if is_reason && row["value"].as_f64() == Some(0.0) {
                continue; // a reason has points once there was such a line
            }
            let label = labels.and_then(|labels| labels.values().next()?.as_str());
            let label = label.unwrap_or_default().replace(' ', "+");
            let points = highest(row["name"].as_str().unwrap(), &label);
            assert!(points.is_some(), "{section}: {row}");
            charted += 1;
        }
    }
    assert!(charted > 60, "{charted} figures");
}

/// Shows that the entry of a series has its rules, and the names that each destination really gets.
#[test]
fn a_series_has_its_rules_and_its_names_as_sent() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("console", "enabled", "yes")
        .set("rule.web", "match", "web.*")
        .set("rule.web", "percentiles", "50");
    let daemon = Daemon::start(&conf);
    daemon.send(["web.hits:1|c|#k:v\nweb.time:2|ms\nmy.users:x|s\nmy.level:-3|g"]);
    let first = carbon.until_point("stats.gauges.my.level", -3.0);
    let (_, points) = carbon.flush_after(first.stamp - 1);
    let mut web = daemon.web();
    for (name, kind, part, rules) in [
        ("web.hits;k=v", "counter", ".web.hits", &["rule.web"][..]),
        ("web.time", "timer", ".web.time.", &["rule.web"]),
        ("my.users", "set", ".my.users.", &[]),
        ("my.level", "gauge", ".my.level", &[]),
    ] {
        let series = web.get(&format!("/api/series?name={name}&kind={kind}")).json();
        assert_eq!(texts(&series["rules"]), rules, "{series}");
        let sent_as = series["sent_as"].as_array().unwrap();
        let destinations: Vec<_> = sent_as.iter().map(|sent| &sent["destination"]).collect();
        assert_eq!(destinations, ["carbon", "console"], "{series}");
        let sent: BTreeSet<&str> =
            points.iter().map(|point| &*point.name).filter(|name| name.contains(part)).collect();
        let names = texts(&sent_as[0]["names"]);
        assert_eq!(BTreeSet::from_iter(names), sent, "{series}");
        assert!(!texts(&sent_as[1]["names"]).is_empty(), "{series}");
    }
    daemon.stop();
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Shows that names which hold quotes, HTML and bytes that are no text arrive as they are.
#[test]
fn hostile_names_stay_json() {
    let daemon = Daemon::start(&Conf::never_flushing().set("statsd", "sanitize_keys", "no"));
    daemon.send([&b"<script>\"\\a:1|c\nnot\xffutf8:1|c\ncaf\xc3\xa9 x:1|c\nend:1|c"[..]]);
    daemon.until_counter("end", 1.0);
    let found = daemon.web().get("/api/series").json();
    let names: Vec<_> = found["series"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(names, ["<script>\"\\a", "caf\u{e9} x", "end", "not\u{fffd}utf8"]);
}
