//! Rules that change names and tags, and the tags of a name space: what every destination gets.

use crate::support::{Conf, Daemon, FakeCarbon, Influxd, until_true};

const LINE: &str = "airflow.dag.etl.load.duration:4|ms|#env:prod,pod:x7f";

fn conf(carbon: &FakeCarbon) -> Conf {
    Conf::sending_to(carbon.address(), "1s")
        .set("namespace", "tags", "dc=eu, env=none")
        .set("rule.airflow", "match", "airflow.dag.*.*.duration")
        .set("rule.airflow", "name", "dag.duration")
        .set("rule.airflow", "tags", "dag=$1, task=$2")
        .set("rule.airflow", "drop_tags", "pod")
        .set("rule.users", "match", "users.**")
        .set("rule.users", "max_tag_values", "2")
}

/// Shows that carbon, InfluxDB and `/metrics` have the same series, which several names became.
#[test]
fn every_destination_has_the_series_that_rules_have_made() {
    let Some(influxd) = Influxd::start("every_destination_has_the_series_that_rules_have_made")
    else {
        return;
    };
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&conf(&carbon).set("influxdb", "address", influxd.http()));
    let other_pod = LINE.replace("x7f", "k2d");
    daemon.send_together([LINE, &other_pod, "hits:3|c"]);
    carbon.until_point("stats.timers.dag.duration.sum;dag=etl;dc=eu;env=prod;task=load", 8.0);
    carbon.until_point("stats_counts.hits;dc=eu;env=none", 3.0);
    let tags = "dag=etl,dc=eu,env=prod,task=load";
    influxd.until_point("stats.timers.dag.duration", tags, "sum", 8.0);
    let mut web = daemon.web();
    let expected = "dag_duration_timer_count{dag=\"etl\",env=\"prod\",task=\"load\"} 2";
    until_true("the series in /metrics", || web.get("/metrics").body.contains(expected));
    let own = "stats.statsd.metrics_received;dc=eu;env=none";
    carbon.until("own figures with the tags of the name space", |points| {
        points.iter().find(|point| point.name == own).map(|_| ())
    });
    assert!(carbon.points().iter().all(|point| !point.name.contains("airflow")));
    daemon.stop();
}

#[test]
fn the_admin_port_and_the_log_show_what_rules_do() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&conf(&carbon));
    daemon.send([LINE, "users.a:1|c|#user:1\nusers.a:1|c|#user:2\nusers.a:1|c|#user:3"]);
    daemon.until_known("counters", "users.a;user=other");
    let explained = daemon.admin().ask(&format!("explain {LINE}"));
    for line in [
        "name: airflow.dag.etl.load.duration;env=prod;pod=x7f\n",
        "series: dag.duration;dag=etl;env=prod;task=load\n",
        "accepted, the series exists\n",
        "rule: [rule.airflow] gives name, tags, drop_tags (match = airflow.dag.*.*.duration)\n",
        "sent: carbon: stats.timers.dag.duration.count;dag=etl;dc=eu;env=prod;task=load\n",
    ] {
        assert!(explained.contains(line), "{line} {explained}");
    }
    let rules = daemon.admin().ask("rules");
    assert!(rules.contains("[rule.airflow] series=1\n"), "{rules}");
    assert!(rules.contains("  tags = dag=$1, task=$2\n"), "{rules}");
    assert!(rules.contains("[rule.users] series=3\n"), "{rules}");
    daemon.until_logged(&["tag_values_replaced=1", "example=\"user=3\"", "sender="], 1);
    // From a reload on, the line goes to the series that the new rules name.
    daemon.reload(&conf(&carbon).set("rule.airflow", "name", "task.duration"));
    daemon.until_logged(&["reload=done", "rule.airflow"], 1);
    daemon.send([LINE]);
    carbon.until_point("stats.timers.task.duration.sum;dag=etl;dc=eu;env=prod;task=load", 4.0);
    until_true("the old series to be forgotten", || {
        daemon.admin().ask("rules").contains("[rule.airflow] series=1\n")
    });
    assert!(!daemon.admin().ask("timers").contains("dag.duration"));
    daemon.stop();
}
