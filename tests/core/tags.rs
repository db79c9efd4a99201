//! Names and tags as tables: the ways to write them, and the one canonical name that they are read
//! as.

use crate::reading::{check, read};
use crate::rig::{Core, settings};
use statsd::encode::namespace::Namespace;
use statsd::ledger::OwnCounter;
use statsd::protocol::{Dialect, Dialects, Grammar};

fn reads(dialects: &[Dialect]) -> Grammar {
    Grammar { dialects: dialects.iter().copied().collect(), ..Grammar::default() }
}

#[test]
fn tags_of_either_dialect_end_as_one_name() {
    check(
        &Grammar::default(),
        &[
            ("a:1|c|#env:prod", "a;env=prod count 1"),
            ("a;env=prod:1|c", "a;env=prod count 1"),
            ("a:1|c|#b:2,a:1", "a;a=1;b=2 count 1"),
            ("a;b=2;a=1:1|c", "a;a=1;b=2 count 1"),
            ("a;x=1:1|c|#x:2", "a;x=2 count 1"),
            ("a:1|c|#x:1,x:2", "a;x=2 count 1"),
            ("a:1|c|#flag", "a;flag=true count 1"),
            ("a:1|c|#flag:", "a;flag=true count 1"),
            ("a;flag:1|c", "a;flag=true count 1"),
            ("a:1|c|#url:http://x:80/y", "a;url=http--x80-y count 1"),
            ("a:1|c|#k:a=b;c", "a;k=a=b_c count 1"),
            ("a:1|c|#~k:~v", "a;k=v count 1"),
            ("a:1|c|#:v,,$:x", "a count 1"),
            ("a:1|c|#", "a count 1"),
            ("a:1|c|#e nv:p rod", "a;e_nv=p_rod count 1"),
            ("a;:1|c", "a count 1"),
        ],
    );
}

#[test]
fn a_dialect_that_is_off_reads_no_tags() {
    let plain = Grammar { dialects: Dialects::NONE, ..Grammar::default() };
    check(&plain, &[("a;b=1:1|c", "ab=1 count 1"), ("a:1|c|#b:1", "a count 1")]);
}

#[test]
fn raw_names_keep_their_bytes_and_their_tags_stay_apart() {
    let raw = Grammar { sanitize: false, ..Grammar::default() };
    check(
        &raw,
        &[
            ("k e/y$%:1|c", "k e/y$% count 1"),
            ("a:1|c|#k:x/y", "a;k=x/y count 1"),
            ("a:1|c|#k:x;y=z", "a;k=x_y=z count 1"),
            ("$$$:1|c", "!EmptyName"),
            ("a:1|c|#$:x,k:$", "a;k=true count 1"),
        ],
    );
    let plain = Grammar { dialects: Dialects::NONE, ..raw };
    check(&plain, &[("a;b:1|c", "ab count 1")]);
}

/// `=`, `;`, `:` and `,` in keys and values of every dialect.
#[test]
fn separators_in_keys_and_values() {
    for (dialect, cases) in [
        (
            Dialect::Dogstatsd,
            &[
                ("a:1|c|#units=bytes", "a;units=bytes"),
                ("a:1|c|#units=", "a;units=true"),
                ("a:1|c|#=bytes", "a"),
                ("a:1|c|#x:y=z", "a;x=y=z"),
                ("a:1|c|#x=y=z", "a;x=y=z"),
                ("a:1|c|#x=y:z", "a;xy=z"),
                ("a:1|c|#x:=", "a;x=="),
                ("a:1|c|#x:y:z", "a;x=yz"),
                ("a:1|c|#tag:val;1", "a;tag=val_1"),
                ("a:1|c|#tag:;;", "a;tag=__"),
                ("a:1|c|#t;g:v", "a;t_g=v"),
                ("a:1|c|#t;g=v;w", "a;t_g=v_w"),
                ("a:1|c|#;:v", "a;_=v"),
                ("a:1|c|#k:a ;b", "a;k=a__b"),
                ("a:1|c|#user-type:a,source=b", "a;source=b;user-type=a"),
                ("a:1|c|#units=bytes|#units:kb", "a;units=kb"),
                ("a:1|c|#~units=~bytes", "a;units=bytes"),
            ][..],
        ),
        (
            Dialect::Graphite,
            &[
                ("a;x=y=z:1|c", "a;x=y=z"),
                ("a;x==:1|c", "a;x=="),
                ("a;x=y;;z=w:1|c", "a;x=y;z=w"),
                ("a;x=y,z:1|c", "a;x=yz"),
                ("a;=v:1|c", "a"),
            ],
        ),
        (
            Dialect::Influx,
            &[("a,x=y=z:1|c", "a;x=y=z"), ("a,x=y;z:1|c", "a;x=y_z"), ("a,x;y=z:1|c", "a;x_y=z")],
        ),
        (
            Dialect::Librato,
            &[("a#x=y=z:1|c", "a;x=y=z"), ("a#x=y;z:1|c", "a;x=y_z"), ("a#x;y=z:1|c", "a;x_y=z")],
        ),
        (
            Dialect::Signalfx,
            &[
                ("a[x=y=z]:1|c", "a;x=y=z"),
                ("a[x=y;z]b:1|c", "ab;x=y_z"),
                ("a[x;y=z]b=c:1|c", "ab=c;x_y=z"),
            ],
        ),
    ] {
        for (line, name) in cases {
            let expected = format!("{name} count 1");
            for grammar in [reads(&[dialect]), reads(&Dialect::ALL)] {
                assert_eq!(read(&grammar, line.as_bytes()), expected, "{line}");
                // Raw names differ in what cleaning changes, and have the same tags.
                let raw = Grammar { sanitize: false, ..grammar };
                let raw = read(&raw, line.as_bytes());
                let tags = |shown: &str| shown.matches(';').count();
                assert_eq!(tags(&raw), tags(&expected), "{line}: {raw}");
            }
        }
    }
}

#[test]
fn every_dialect_ends_as_the_same_name() {
    for (dialect, line) in [
        (Dialect::Dogstatsd, "a:1|c|#b:2,a:1,b:3,flag"),
        (Dialect::Graphite, "a;b=2;a=1;b=3;flag:1|c"),
        (Dialect::Influx, "a,b=2,a=1,b=3,flag:1|c"),
        (Dialect::Librato, "a#b=2,a=1,b=3,flag:1|c"),
        (Dialect::Signalfx, "a[b=2,a=1,b=3,flag]:1|c"),
    ] {
        for grammar in [reads(&[dialect]), reads(&Dialect::ALL)] {
            check(&grammar, &[(line, "a;a=1;b=3;flag=true count 1")]);
        }
    }
}

#[test]
fn the_first_separator_of_a_dialect_that_is_on_reads_the_rest() {
    check(
        &reads(&Dialect::ALL),
        &[
            ("a;k=v,w;l=x:1|c", "a;k=vw;l=x count 1"),
            ("a,k=v;w,l=x:1|c", "a;k=v_w;l=x count 1"),
            ("a#k=v#w,l=x:1|c", "a;k=vw;l=x count 1"),
            ("a[k=v;w,l=x]:1|c", "a;k=v_w;l=x count 1"),
            ("a,k=v]:1|c", "a;k=v count 1"),
            ("a,k=v:1|c|#l:x,k:w", "a;k=w;l=x count 1"),
            ("a,k=x=y:1|c", "a;k=x=y count 1"),
            ("a,=v,:1|c", "a count 1"),
            (",k=v:1|c", "!EmptyName"),
        ],
    );
    let some = reads(&[Dialect::Signalfx, Dialect::Graphite]);
    check(&some, &[("a,b[k=v]:1|c", "ab;k=v count 1"), ("a#b;k=v:1|c", "ab;k=v count 1")]);
}

#[test]
fn signalfx_goes_on_with_the_name_behind_its_bracket() {
    let grammar = reads(&[Dialect::Signalfx]);
    check(
        &grammar,
        &[
            ("a[k=v].b:1|c", "a.b;k=v count 1"),
            ("[k=v]a:1|c", "a;k=v count 1"),
            ("a[]b:1|c", "ab count 1"),
            ("a [k=v] b:1|c", "a_b;k=v count 1"),
            ("a[k=v]b;c=d:1|c", "abc=d;k=v count 1"),
            ("a[k=v]b[l=w]:1|c", "abl=w;k=v count 1"),
            ("a[k=v,l=w:1|c", "a;k=v;l=w count 1"),
            ("[k=v]:1|c", "!EmptyName"),
        ],
    );
    let raw = Grammar { sanitize: false, ..grammar };
    check(&raw, &[("a$[k=/]b;c:1|c", "a$bc;k=/ count 1")]);
}

#[test]
fn tags_with_commas_of_a_dialect_that_is_off_are_counted_and_named() {
    for (line, unread) in [
        ("a,env=prod:1|c", 1),
        ("a,env=prod:1|c:2|c", 1),
        ("a,flag:1|c", 1),
        ("a,k=v;l=w:1|c", 1),
        ("a[k=v,k2=v2]:1|c", 1),
        ("a#k=v,k2=v2:1|c", 1),
        ("a[k=v]:1|c", 0),
        ("a;k=v,w:1|c", 0),
        ("a,:1|c", 0),
        ("a,=v:1|c", 0),
        ("a,env=prod:1", 1),
        (",env=prod", 0),
        ("a:1|c|#k:v,l:w", 0),
    ] {
        let mut core = Core::new(&settings(), &Namespace::default());
        core.packet(line);
        assert_eq!(core.engine.own().total(OwnCounter::InfluxTagsSeen), unread, "{line}");
    }
    let mut settings = settings();
    settings.grammar = reads(&[Dialect::Influx]);
    let mut core = Core::new(&settings, &Namespace::default());
    core.packet("a,env=prod:1|c");
    assert_eq!(core.engine.own().total(OwnCounter::InfluxTagsSeen), 0);
}

#[test]
fn order_and_dialect_give_the_same_series() {
    let all = reads(&Dialect::ALL);
    let tags = [("env", "prod"), ("host", "a1"), ("zone", "eu-1")];
    let mut orders = Vec::new();
    for first in 0..3 {
        for second in (0..3).filter(|second| *second != first) {
            orders.push([first, second, 3 - first - second].map(|at| tags[at]));
        }
    }
    assert_eq!(orders.len(), 6);
    for order in orders {
        let join =
            |is: &str, and: &str| order.map(|(key, value)| [key, is, value].concat()).join(and);
        for line in [
            format!("lat:5|ms|#{}", join(":", ",")),
            format!("lat;{}:5|ms", join("=", ";")),
            format!("lat,{}:5|ms", join("=", ",")),
            format!("lat#{}:5|ms", join("=", ",")),
            format!("lat[{}]:5|ms", join("=", ",")),
        ] {
            let expected = "lat;env=prod;host=a1;zone=eu-1 time 5";
            assert_eq!(read(&all, line.as_bytes()), expected, "{line}");
        }
    }
}
