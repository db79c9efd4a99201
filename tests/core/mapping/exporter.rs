//! The named cases of the tests of statsd_exporter's mapper, in the words of this server.

/// What an operator of statsd_exporter has, as rules of this server.
pub(super) struct Exporter {
    /// The name of the case in the tests of its mapper.
    pub(super) name: &'static str,
    pub(super) rules: &'static str,
    /// Names as clients send them, and those of their series.
    pub(super) lines: &'static [(&'static str, &'static str)],
}

/// The cases that rules can express. A label is a
/// tag, and a label without a value is no tag.
pub(super) const EXPORTER: &[Exporter] = &[
    Exporter { name: "Empty config", rules: "", lines: &[("a.b", "a.b")] },
    Exporter { name: "Config with no mappings", rules: "", lines: &[("a", "a")] },
    Exporter {
        name: "Config with several mapping definitions",
        rules: "[rule.1]\nmatch = test.dispatcher.*.*.*\nname = dispatch_events\n\
            tags = processor=$1, action=$2, result=$3, job=test_dispatcher\n\
            [rule.2]\nmatch = test.my-dispatch-host01.name.dispatcher.*.*.*\n\
            name = host_dispatch_events\ntags = processor=$1, action=$2, result=$3\n\
            [rule.3]\nmatch = request_time.*.*.*.*.*.*.*.*.*.*.*.*\nname = tyk_http_request\n\
            tags = path=${1}, code=${2}, ip=${7}-${8}-${9}-${10}, orgid=${11}, oauthid=${12}\n\
            [rule.4]\nmatch = *.*\nname = catchall\ntags = first=$1, second=$2, job=$1-$2-\n\
            [rule.5]\nmatch_regex = (.*)\\.(.*)-(.*)\\.(.*)\nname = proxy_requests_total\n\
            tags = job=$1, protocol=$2, endpoint=$3, result=$4\n",
        lines: &[
            (
                "test.dispatcher.Foo.send.ok",
                "dispatch_events;action=send;job=test_dispatcher;processor=Foo;result=ok",
            ),
            (
                "test.my-dispatch-host01.name.dispatcher.Foo.send.ok",
                "host_dispatch_events;action=send;processor=Foo;result=ok",
            ),
            // A / of a name is a - here.
            (
                "request_time.get/posts.200.0.none.discussions.a11b.172.20.0.1.12ba.",
                "tyk_http_request;code=200;ip=172-20-0-1;orgid=12ba;path=get-posts",
            ),
            ("foo.bar", "catchall;first=foo;job=foo-bar-;second=bar"),
            ("foo.bar.baz", "foo.bar.baz"),
            (
                "proxy-1.http-goober.success",
                "proxy_requests_total;endpoint=goober;job=proxy-1;\
protocol=http;result=success",
            ),
        ],
    },
    Exporter {
        name: "Config with backtracking",
        rules: "[rule.1]\nmatch = backtrack.*.bbb\nname = testb\ntags = label=${1}_foo\n\
            [rule.2]\nmatch = backtrack.justatest.aaa\nname = testa\ntags = label=_foo\n",
        lines: &[
            ("backtrack.good.bbb", "testb;label=good_foo"),
            ("backtrack.justatest.bbb", "testb;label=justatest_foo"),
            ("backtrack.justatest.aaa", "testa;label=_foo"),
        ],
    },
    Exporter {
        name: "Config with backtracking, the non-matched rule has star(s)",
        rules: "[rule.1]\nmatch = *.dummy.*\nname = metric_one\ntags = system=$1, attribute=$2\n\
            [rule.2]\nmatch = full.name.*\nname = metric_two\ntags = system=static, attribute=$1\n",
        lines: &[
            ("whatever.dummy.test", "metric_one;attribute=test;system=whatever"),
            ("full.name.anothertest", "metric_two;attribute=anothertest;system=static"),
        ],
    },
    // The first rule wins here, so the special ones stand first.
    Exporter {
        name: "Config with super sets, disables ordering",
        rules: "[rule.c]\nmatch = noorder.ccc.bbb\nname = testc\ntags = label=ccc_foo\n\
            [rule.b]\nmatch = noorder.*.bbb\nname = testb\ntags = label=${1}_foo\n\
            [rule.a]\nmatch = noorder.*.*\nname = testa\ntags = label=${1}_foo\n",
        lines: &[
            ("noorder.good.bbb", "testb;label=good_foo"),
            ("noorder.ccc.bbb", "testc;label=ccc_foo"),
        ],
    },
    Exporter {
        name: "Config with super sets, keeps ordering",
        rules: "[rule.a]\nmatch = order.*.*\nname = testa\ntags = label=${1}_foo\n\
            [rule.b]\nmatch = order.*.bbb\nname = testb\ntags = label=${1}_foo\n",
        lines: &[("order.good.bbb", "testa;label=good_foo")],
    },
    // There, $1_foo is a reference to a group called 1_foo, which is empty.
    Exporter {
        name: "Config with bad regex reference",
        rules: "[rule.a]\nmatch = test.*\nname = name\ntags = label=$1_foo",
        lines: &[("test.a", "name;label=a_foo")],
    },
    Exporter {
        name: "Config with good regex reference",
        rules: "[rule.a]\nmatch = test.*\nname = name\ntags = label=${1}_foo",
        lines: &[("test.a", "name;label=a_foo")],
    },
    Exporter {
        name: "Match metric segment with a number",
        rules: "[rule.a]\nmatch = test.99.myapp.*\nname = name\ntags = label=${1}_foo",
        lines: &[("test.99.myapp.create", "name;label=create_foo")],
    },
    Exporter {
        name: "Match metric segment starting with a number",
        rules: "[rule.a]\nmatch = test.99test.myapp.*\nname = name\ntags = label=${1}_foo",
        lines: &[("test.99test.myapp.create", "name;label=create_foo")],
    },
    Exporter {
        name: "Match metric segment with a number #328 example",
        rules: "[rule.a]\nmatch = kafka.brokerPort.9092.Fetcher-0-1.1MinuteRate.gauge\nname = n",
        lines: &[("kafka.brokerPort.9092.Fetcher-0-1.1MinuteRate.gauge", "n")],
    },
    Exporter {
        name: "Single segment match",
        rules: "[rule.a]\nmatch = *\nname = single_segment\ntags = label=${1}",
        lines: &[("test", "single_segment;label=test")],
    },
    Exporter {
        name: "Config with multiple dashes in metric name",
        rules: "[rule.a]\nmatch = foo--bar.*\nname = foo_bar_${1}",
        lines: &[("foo--bar.count", "foo_bar_count")],
    },
    Exporter {
        name: "Config with dynamic metric name",
        rules: "[rule.1]\nmatch = test1.*.*\nname = $1\n[rule.2]\nmatch = test2.*.*\nname = ${1}_$2\n\
            [rule.3]\nmatch_regex = test3\\.(\\w+)\\.(\\w+)\nname = ${2}_$1\n",
        lines: &[
            ("test1.total_requests.count", "total_requests"),
            ("test2.total_requests.count", "total_requests_count"),
            ("test3.total_requests.count", "count_total_requests"),
        ],
    },
    Exporter {
        name: "Config without a trailing newline",
        rules: "[rule.a]\nmatch = test.*\nname = name\ntags = label=${1}_foo",
        lines: &[("test.a", "name;label=a_foo")],
    },
    Exporter {
        name: "Config with a properly escaped *",
        rules: "[rule.a]\nmatch = *.test.*\nname = name\ntags = label=${2}_foo",
        lines: &[("foo.test.a", "name;label=a_foo")],
    },
    // A summary has percentiles here, of each interval.
    Exporter {
        name: "Config with good observer type",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with good observertype and no defaults",
        rules: "[statsd]\npercentiles = 50, 90, 99\n[rule.a]\nmatch = test1.*.*\nname = foo",
        lines: &[("test1.a.b", "foo")],
    },
    Exporter {
        name: "New style quantiles",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with summary options",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with default summary options",
        rules: "[statsd]\npercentiles = 42, 70\n[rule.a]\nmatch = test.*.*\nname = foo",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with default summary options without quantiles",
        rules: "[statsd]\npercentiles = 50, 90, 99\n[rule.a]\nmatch = test.*.*\nname = foo",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config that overrides default summary options",
        rules: "[statsd]\npercentiles = 4.2, 7\n\
            [rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config that overrides default summary options and a default options mapping",
        rules: "[statsd]\npercentiles = 90, 99\n\
            [rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70\n\
            [rule.b]\nmatch = test_default.*.*\nname = foo_default",
        lines: &[("test.a.b", "foo"), ("test_default.a.b", "foo_default")],
    },
    Exporter {
        name: "Config that partially overrides default summary quantiles and a default options \
               mapping",
        rules: "[statsd]\npercentiles = 90, 99\n\
            [rule.a]\nmatch = test.*.*\nname = foo\npercentiles = 42, 70\n\
            [rule.b]\nmatch = test_default.*.*\nname = foo_default",
        lines: &[("test.a.b", "foo"), ("test_default.a.b", "foo_default")],
    },
    Exporter {
        name: "Config with histogram options",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\nhistogram = 0.1, 1, 10, 100, 1000, inf",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with default histogram options",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\n\
            [rule.z]\nmatch = **\nhistogram = 0.1, 1, 10, 100, 1000, inf",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config with default histogram options without buckets",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\n[rule.z]\nmatch = **\n\
            histogram = 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, inf",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config that overrides default histogram configuration",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\nhistogram = 0.1, 1, 10, 100, 1000, inf\n\
            [rule.z]\nmatch = **\nhistogram = 0.2, 2, 20, 200, 2000, inf",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "Config that overrides default histogram configuration and a default options mapping",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\nhistogram = 0.1, 1, 10, 100, 1000, inf\n\
            [rule.b]\nmatch = test_default.*.*\nname = foo_default\n\
            [rule.z]\nmatch = **\nhistogram = 0.2, 2, 20, 200, inf",
        lines: &[("test.a.b", "foo"), ("test_default.a.b", "foo_default")],
    },
    Exporter {
        name: "Config with non-matched metric",
        rules: "[rule.a]\nmatch = foo.*.*\nname = foo",
        lines: &[("test.1.2", "test.1.2")],
    },
    Exporter {
        name: "Config with labels from glob",
        rules: "[rule.a]\nmatch = p.*.*.c.*\nname = issue_256\ntags = one=$1, two=$2, three=$3",
        lines: &[("p.one.two.c.three", "issue_256;one=one;three=three;two=two")],
    },
    Exporter {
        name: "Example from the README",
        rules: "[rule.1]\nmatch = test.dispatcher.*.*.*\nname = dispatcher_events_total\n\
            tags = processor=$1, action=$2, outcome=$3, job=test_dispatcher\n\
            [rule.2]\nmatch = *.signup.*.*\nname = signup_events_total\n\
            tags = provider=$2, outcome=$3, job=${1}_server\n",
        lines: &[
            (
                "test.dispatcher.Foo.send.success",
                "dispatcher_events_total;action=send;job=test_dispatcher;outcome=success;\
processor=Foo",
            ),
            (
                "foo_product.signup.facebook.failure",
                "signup_events_total;job=foo_product_server;outcome=failure;provider=facebook",
            ),
            ("test.web-server.foo.bar", "test.web-server.foo.bar"),
        ],
    },
    Exporter {
        name: "Config that drops all",
        rules: "[rule.a]\nmatch_regex = .\ndrop = yes",
        lines: &[("test.a", ""), ("abc", "")],
    },
    // The first rule with the key drop decides here.
    Exporter {
        name: "Config that has a catch-all to drop all",
        rules: "[rule.web]\nmatch = web.*\nname = web\ntags = site=$1\ndrop = no\n\
            [rule.rest]\nmatch_regex = .\ndrop = yes",
        lines: &[("test.a", ""), ("web.localhost", "web;site=localhost")],
    },
    Exporter {
        name: "Config that has a ttl",
        rules: "[rule.a]\nmatch = web.*\nname = web\nexpire = 10s\ntags = site=$1",
        lines: &[("test.a", "test.a"), ("web.localhost", "web;site=localhost")],
    },
    Exporter {
        name: "Config that has a default ttl",
        rules: "[statsd]\nexpire = 62s\n[rule.a]\nmatch = web.*\nname = web\ntags = site=$1",
        lines: &[("test.a", "test.a"), ("web.localhost", "web;site=localhost")],
    },
    Exporter {
        name: "Config that override a default ttl",
        rules: "[statsd]\nexpire = 62s\n\
            [rule.a]\nmatch = web.*\nname = web\nexpire = 5s\ntags = site=$1",
        lines: &[("test.a", "test.a"), ("web.localhost", "web;site=localhost")],
    },
    Exporter {
        name: "no action set",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "map action set",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\ndrop = no",
        lines: &[("test.a.b", "foo")],
    },
    Exporter {
        name: "drop action set",
        rules: "[rule.a]\nmatch = test.*.*\nname = foo\ndrop = yes",
        lines: &[("test.a.b", "")],
    },
    Exporter {
        name: "valid yaml example",
        rules: "[rule.a]\nmatch_regex = test\\.(\\w+)\\.(\\w+)\\.counter\nname = ${2}_total\n\
            tags = provider=$1",
        lines: &[("test.x.y.counter", "y_total;provider=x")],
    },
];

/// Cases whose configuration is a mistake in both programs: the name, the rules, and a part of the
/// message.
pub(super) const EXPORTER_MISTAKES: &[(&str, &str, &str)] = &[
    (
        "Config with bad observer type",
        "[rule.a]\nmatch = a\nobserver_type = wrong",
        "[rule.a] observer_type: no such key",
    ),
    (
        "Duplicate quantiles are bad",
        "[rule.a]\nmatch = a\npercentiles = 42\npercentiles = 42",
        "[rule.a] percentiles",
    ),
    (
        "Config with uncompilable regex",
        "[rule.a]\nmatch_regex = *\\.foo\nname = foo",
        "[rule.a] match_regex: expected a regular expression",
    ),
    (
        "Config with no name",
        "[rule.a]\nmatch_regex = *\\.foo\ntags = bar=foo",
        "[rule.a] match_regex: expected a regular expression",
    ),
    (
        "invalid action set",
        "[rule.a]\nmatch = test.*.*\nname = foo\ndrop = xyz",
        "[rule.a] drop: expected one of yes, no",
    ),
];

/// Cases above whose rules or results differ from those of statsd_exporter, and how.
pub(super) const EXPORTER_CHANGED: &[(&str, &str)] = &[
    ("Config with bad regex reference", "$1_foo is $1 and then _foo, where it is empty there"),
    ("Config with several mapping definitions", "$3 after *.* is left out, and / becomes -"),
    ("Config with backtracking", "$1 after a pattern without wildcards is left out"),
    ("Config with super sets, disables ordering", "the first rule wins, so it stands first"),
    ("Config with summary options", "max_age, age_buckets and buf_cap are left out"),
    ("Config with default summary options", "as above"),
    ("Config with default summary options without quantiles", "as above"),
    ("Config that overrides default summary options", "as above"),
    ("Config that overrides default summary options and a default options mapping", "as above"),
    (
        "Config that partially overrides default summary quantiles and a default options \
               mapping",
        "as above",
    ),
];

/// Cases that this server treats otherwise, and why. docs/rules.md has the same list.
pub(super) const EXPORTER_ELSEWHERE: &[(&str, &str)] = &[
    ("Config with bad metric line", "a pattern that no name can match is a warning of --check"),
    ("Config with bad metric name", "a name may begin with a digit, as in Graphite"),
    ("Config with no metric name", "a rule may add tags and keep the name"),
    ("Config with an improperly escaped *", "the file is not YAML, so nothing is escaped"),
    ("invalid yaml example", "the file is not YAML, so nothing is escaped"),
    (
        "Config that partially overrides default summary max_age and a default options \
      mapping",
        "a percentile is of one flush interval, so it has no age",
    ),
    ("Config with bad metric type matcher", "no rule has a metric type"),
    ("Config with good metric type", "kinds are series of their own, so no rule needs the kind"),
    ("Config with good metric type observer", "as above"),
    ("Config with multiple explicit metric types", "as above"),
    ("Config with 'scale' field", "values are sent as clients send them"),
    ("Config with 'scale' using scientific notation", "as above"),
];
