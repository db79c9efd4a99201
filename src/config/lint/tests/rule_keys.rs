//! Keys of a rule that cannot have an effect together.

use super::{assert_silent, assert_warns, found};

/// Keys of one rule that cannot have an effect together. Silence is right where an earlier rule can
/// take the place of one of them, or where the other key is without an effect for some tags only.
#[test]
fn keys_of_a_rule_that_have_no_effect_together() {
    for (keys, key, reason) in [
        ("drop = yes\nname = b", "name", "no series is left for name, since drop = yes"),
        ("drop = yes\ntags = a=b", "tags", "no series is left for tags,"),
        ("drop = yes\ntags = a=b\nname = b", "name", "left for name, tags, since"),
        ("drop = yes\ndrop_tags = a", "drop_tags", "left for drop_tags,"),
        ("drop = yes\nkeep_tags = a", "keep_tags", "left for keep_tags,"),
        ("drop = yes\nrename_tag = a=b", "rename_tag", "left for rename_tag,"),
        ("drop = yes\nmax_tag_values = 5", "max_tag_values", "left for max_tag_values,"),
        ("drop = yes\nexpire = 1h\nhistogram = 1", "expire", "left for expire, histogram,"),
        ("drop = yes\ndelete_idle = no", "delete_idle", "left for delete_idle,"),
        ("drop = yes\npercentiles = 5", "percentiles", "left for percentiles,"),
        ("drop = yes\ntimer_metrics = sum", "timer_metrics", "left for timer_metrics,"),
        ("drop = yes\nsigned_gauges = delta", "signed_gauges", "left for signed_gauges,"),
        ("drop_tags =\nname = b", "drop_tags", "the list is empty"),
        ("tags =\ndrop_tags = b", "tags", "the list is empty"),
        ("rename_tag = b=a, a=a", "rename_tag", "a keeps its key"),
        ("drop_tags = b, a:b", "drop_tags", "no key of a tag matches a:b"),
        ("keep_tags = =x", "keep_tags", "no key of a tag matches =x"),
        ("keep_tags = a.b\ndrop_tags = a*", "keep_tags", "drop_tags removes a.b, so it is not"),
        ("keep_tags = a, b\ndrop_tags = c*", "drop_tags", "keep_tags removes these tags, too"),
        ("keep_tags =\ndrop_tags = c*", "drop_tags", "keep_tags removes these tags, too"),
        ("keep_tags = a, b\ndrop_tags = b*", "keep_tags", "drop_tags removes b, so it is not"),
        ("keep_tags = b*\ndrop_tags = *", "keep_tags", "drop_tags removes b*, so it is not"),
        ("keep_tags = b\nrename_tag = a=b", "rename_tag", "keep_tags removes a before"),
        ("keep_tags =\nrename_tag = a=b", "rename_tag", "keep_tags removes a before"),
        ("drop_tags = a\nrename_tag = a=b", "rename_tag", "drop_tags removes a before"),
        ("drop_tags = u*\nmax_tag_values = user=5", "max_tag_values", "drop_tags removes user"),
        ("keep_tags = a\nmax_tag_values = b=5", "max_tag_values", "keep_tags removes b"),
        ("keep_tags =\nmax_tag_values = 5", "max_tag_values", "keep_tags removes all tags"),
        ("rename_tag = a=b\nmax_tag_values = a=5", "max_tag_values", "makes b of a before"),
        ("delete_idle = yes\nexpire = 1h", "expire", "removes a series earlier"),
        ("delete_idle = yes\nexpire = never", "expire", "removes a series earlier"),
        ("percentiles = 5\ntimer_metrics = sum", "percentiles", "lists no figure of percentiles"),
        ("percentiles =\ntimer_metrics = sum, upper_percent", "timer_metrics", "is empty, so a"),
        ("histogram = 1, 2\ntimer_metrics = sum", "histogram", "does not list histogram"),
        ("histogram =\ntimer_metrics = sum, histogram", "timer_metrics", "is empty, so a bin"),
    ] {
        let rule = format!("[rule.r]\nmatch = a.**\n{keys}");
        assert_warns(&[(&rule, &format!("[rule.r] {key}: "), reason)]);
        // An earlier rule gives all of its keys to some of the names.
        let earlier = "drop = no\nname = x\ndrop_tags = yx\nkeep_tags = y*\nrename_tag = y=z\n\
                       max_tag_values = z=1\nexpire = 1h\ndelete_idle = no\npercentiles = 1\n\
                       histogram = 1";
        let text = format!("[rule.e]\nmatch = a.b\n{earlier}\n{rule}");
        let found = found(&text);
        let lasting =
            ["does not list", "lists no", "list is empty", "keeps its key", "no key of a tag"];
        let stays = lasting.iter().any(|part| reason.contains(part));
        assert!(
            stays || !found.iter().any(|warning| warning.contains(reason)),
            "{text}: {found:#?}"
        );
    }
    assert_silent(&[
        // The empty list of the first rule keeps the lists of the second from some names.
        "[rule.r]\nmatch = a.**\ndrop_tags =\ntags =\n\
         [rule.s]\nmatch = **.b\ndrop_tags = c\ntags = d=e",
        "[statsd]\nsanitize_keys = no\n[rule.r]\nmatch = a.**\ndrop_tags = a:b",
        "[rule.r]\nmatch = a.**\nkeep_tags = a*\ndrop_tags = ab",
        "[rule.r]\nmatch = a.**\nkeep_tags = a\nrename_tag = a=b\nmax_tag_values = b=5",
        "[rule.r]\nmatch = a.*\nkeep_tags =\ntags = b=$1\nmax_tag_values = b=5",
        "[rule.r]\nmatch = a.**\nkeep_tags =\nmax_tag_values = 5\n\
         [rule.s]\nmatch = **.*\ntags = b=$2",
        "[statsd]\ndelete_gauges = yes\ngauge_ttl = 9\n\
         [rule.r]\nmatch = a.**\ndelete_idle = yes\nexpire = 30s",
        "[rule.r]\nmatch = a.**\ndelete_idle = no\nexpire = 1h",
        "[rule.r]\nmatch = a.**\ndrop = no\nexpire = 1h\nname = b",
    ]);
}

/// A name has one value of each tag, so it cannot have two that exclude each other.
#[test]
fn two_values_of_one_tag() {
    for tags in ["e=a, e=b", "e=a*, f=1, e=b", "e=b, e=a?"] {
        let rule = format!("[rule.r]\nmatch_tags = {tags}\nname = x");
        assert_warns(&[(
            &rule,
            "[rule.r] match_tags: no name has the tag e with two",
            "each value",
        )]);
    }
    let rule = "[rule.r]\nmatch_tags = e=a, e=b\ndrop = yes";
    assert_warns(&[(rule, "[rule.r] match_tags: no name has the tag e with two", "each value")]);
    let is_silent = ["e=a, f=b", "e=a, e", "e=a, e=a*", "e=a*, e=*b"];
    for tags in is_silent {
        assert_silent(&[&format!("[rule.r]\nmatch_tags = {tags}\nname = x")]);
    }
    assert_silent(&["[statsd]\nsanitize_keys = no\n[rule.r]\nmatch_tags = e=a, e=b\nname = x"]);
}
