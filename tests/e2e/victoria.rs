//! Debian's VictoriaMetrics as a destination: by lines of Graphite, and by lines of InfluxDB over
//! both versions of InfluxDB's interface.

use serde_json::json;

use crate::support::{Conf, Daemon, Victoria};

#[test]
fn tags_are_read_back_as_they_were_sent() {
    let Some(victoria) = Victoria::start("tags_are_read_back_as_they_were_sent") else { return };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "t0ken\n").unwrap();
    let conf = Conf::sending_to(victoria.graphite(), "1s")
        .set("influxdb", "address", victoria.http())
        .set("influxdb", "database", "one")
        .set("influxdb.two", "address", victoria.http())
        .set("influxdb.two", "version", "2")
        .set("influxdb.two", "bucket", "b/2")
        .set("influxdb.two", "token_file", secret.display())
        .set("influxdb.two", "namespace", "two")
        .set("namespace.two", "global_prefix", "two")
        .set("namespace.two", "style", "modern");
    let daemon = Daemon::start(&conf);
    daemon.send(["shop.orders:3|c|#env:prod,dc:eu\nshop.took:40|ms|#env:prod\nlevel:-2.5|g"]);
    let tags = || json!({"env": "prod", "dc": "eu"});
    victoria.until_point("stats_counts.shop.orders", tags(), 3.0);
    victoria.until_point("stats.gauges.level", json!({}), -2.5);
    let env = || json!({"env": "prod"});
    victoria.until_point("stats.timers.shop.took.upper", env(), 40.0);
    // InfluxDB's fields become a part of the name there. `db` is the database of version 1.
    let of_one = json!({"env": "prod", "db": "one"});
    victoria.until_point("stats.timers.shop.took_upper", of_one, 40.0);
    victoria.until_point("two.counters.shop.orders_count", tags(), 3.0);
    let is_failure = |line: &String| line.contains("answer=") || line.contains("state=backing_off");
    assert!(!daemon.log().iter().any(is_failure), "{:?}", daemon.log());
    daemon.stop();
}
