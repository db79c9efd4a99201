//! Uses the calls of a StatsD client for Rust: rust-clients CLIENT udp|unix|framed ADDRESS PREFIX.
//!
//! The address is a port, or the path of a unix socket.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::panic::RefUnwindSafe;
use std::time::Duration;

use cadence::{
    BufferedUdpMetricSink, BufferedUnixMetricSink, Counted, CountedExt, Distributed, Gauged,
    Histogrammed, Metered, MetricSink, Setted, StatsdClient, Timed,
    UdpMetricSink, UnixMetricSink,
};
use dogstatsd::{BatchingOptions, Client, OptionsBuilder, ServiceCheckOptions, ServiceStatus};
use metrics_exporter_dogstatsd::{AggregationMode, DogStatsDBuilder};

const TIME: u64 = 1_656_581_400;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, client, transport, address, prefix] = &arguments[..] else {
        panic!("rust-clients CLIENT TRANSPORT ADDRESS PREFIX");
    };
    match &**client {
        "cadence" => cadence(transport, address, prefix),
        "dogstatsd" => dogstatsd(transport, address, prefix),
        "metrics" => metrics_exporter(transport, address, prefix),
        other => panic!("no client {other}"),
    }
}

fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket")
}

fn unix() -> UnixDatagram {
    UnixDatagram::unbound().expect("a socket")
}

fn to(port: &str) -> (&'static str, u16) {
    ("127.0.0.1", port.parse().expect("a port"))
}

fn cadence(transport: &str, address: &str, prefix: &str) {
    match transport {
        "udp" => {
            each_kind(prefix, UdpMetricSink::from(to(address), udp()).expect("a sink"));
            buffered(prefix, BufferedUdpMetricSink::from(to(address), udp()).expect("a sink"));
        }
        "unix" => {
            each_kind(prefix, UnixMetricSink::from(address, unix()));
            buffered(prefix, BufferedUnixMetricSink::with_capacity(address, unix(), 8192));
        }
        other => panic!("cadence has no {other}"),
    }
}

/// Sends every kind of metric, each in a packet of its own.
fn each_kind(prefix: &str, sink: impl MetricSink + Sync + Send + RefUnwindSafe + 'static) {
    let client = StatsdClient::builder(prefix, sink)
        .with_tag("env", "prod")
        .with_container_id("ci-83c0a9")
        .build();
    client.incr("hits").expect("sent");
    client.count("hits", 4).expect("sent");
    client.decr("hits").expect("sent");
    client.count_with_tags("sampled", 3).with_sampling_rate(0.25).send();
    client.count_with_tags("tagged", 2).with_tag("route", "a").with_tag_value("canary").send();
    client.count_with_tags("past", 7).with_timestamp(TIME).send();
    client.gauge("level", 12.5).expect("sent");
    client.gauge_with_tags("past_level", 8_u64).with_timestamp(TIME).send();
    client.time("load", 320).expect("sent");
    client.time("load", Duration::from_millis(80)).expect("sent");
    client.time("packed", vec![1_u64, 2, 3]).expect("sent");
    client.time_with_tags("rated", 5).with_sampling_rate(0.5).send();
    client.histogram("size", 50.5).expect("sent");
    client.distribution("spread", vec![8.0, -2.0]).expect("sent");
    client.meter("meter", 6).expect("sent");
    client.set("users", 1).expect("sent");
    client.set("users", 2).expect("sent");
    client.set("users", 1).expect("sent");
    client.count_with_tags("done", 1).send();
}

/// Sends packets of many lines.
fn buffered(prefix: &str, sink: impl MetricSink + Sync + Send + RefUnwindSafe + 'static) {
    let client = StatsdClient::from_sink(prefix, sink);
    for nth in 0..1000 {
        client.count_with_tags("buffered", 1).with_tag("nth", &(nth % 10).to_string()).send();
    }
    client.flush().expect("flushed");
}

fn dogstatsd(transport: &str, address: &str, prefix: &str) {
    let mut options = OptionsBuilder::new();
    options.namespace(prefix.to_owned()).default_tag("env:prod".to_owned());
    match transport {
        "udp" => _ = options.to_addr(format!("127.0.0.1:{address}")),
        "unix" => _ = options.socket_path(Some(address.to_owned())),
        other => panic!("dogstatsd has no {other}"),
    }
    let none = [""; 0];
    let client = Client::new(options.build()).expect("a client");
    sent(|| client.incr("hits", none));
    sent(|| client.incr_by_value("hits", 4, none));
    sent(|| client.decr("hits", none));
    sent(|| client.count("tagged", 2, ["route:a", "canary"]));
    sent(|| client.gauge("level", "12.5", none));
    sent(|| client.timing("load", 320, none));
    client.time("timed", none, || ()).expect("sent");
    sent(|| client.histogram("size", "50.5", none));
    sent(|| client.distribution("spread", "-2", none));
    sent(|| client.set("users", "ann", none));
    sent(|| client.set("users", "bob", none));
    sent(|| client.event("title", "text", ["a:b"]));
    let check = ServiceCheckOptions { message: Some("fine"), ..Default::default() };
    sent(|| client.service_check("database", ServiceStatus::OK, none, Some(check)));
    options.batching_options(BatchingOptions {
        max_buffer_size: 8000,
        max_time: Duration::from_millis(50),
        max_retry_attempts: 3,
        initial_retry_delay: 10,
    });
    let batching = Client::new(options.build()).expect("a client");
    for nth in 0..1000 {
        batching.incr("buffered", [format!("nth:{}", nth % 10)]).expect("sent");
    }
    drop(batching); // it sends the rest from its thread
    std::thread::sleep(Duration::from_millis(300));
    sent(|| client.incr("done", none));
}

/// Sends again until the socket has room. The client returns an error if it has none.
fn sent<E>(mut send: impl FnMut() -> Result<(), E>) {
    while send().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn metrics_exporter(transport: &str, address: &str, prefix: &str) {
    let remote = match transport {
        "udp" => format!("udp://127.0.0.1:{address}"),
        "unix" => format!("unixgram://{address}"),
        "framed" => format!("unix://{address}"),
        other => panic!("metrics-exporter-dogstatsd has no {other}"),
    };
    DogStatsDBuilder::default()
        .with_remote_address(remote)
        .expect("an address")
        .set_global_prefix(prefix)
        .with_global_labels(vec![metrics::Label::new("env", "prod")])
        .with_aggregation_mode(AggregationMode::Conservative)
        .with_flush_interval(Duration::from_millis(100))
        .with_telemetry(false)
        .with_histogram_sampling(false)
        .install()
        .expect("installed");
    metrics::counter!("hits").increment(3);
    metrics::counter!("hits", "route" => "a").increment(2);
    metrics::gauge!("level").set(12.5);
    for value in [320.0, 80.0, -2.0] {
        metrics::histogram!("spread").record(value);
    }
    for nth in 0..1000 {
        metrics::counter!("buffered", "nth" => (nth % 10).to_string()).increment(1);
    }
    // Its thread sends at intervals. A later metric comes after all others.
    std::thread::sleep(Duration::from_millis(400));
    metrics::counter!("done").increment(1);
    std::thread::sleep(Duration::from_millis(400));
}
