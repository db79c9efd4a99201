//! Bounds on what one file may hold. Pure.
//!
//! A reload reads its file inside the loop, where no turn may take over 5 ms. So everything that
//! costs time for each element has a bound here. A file that exceeds a bound is refused like one
//! with any other mistake.

/// Bytes of a file. A larger one is probably not a configuration, but a device without an end.
pub(crate) const FILE_MAX: usize = 512 << 10;
/// Bytes of a file without its comments, which take little time. An import has many comments.
pub(super) const CONTENT_MAX: usize = 128 << 10;
/// Mistakes reported at once. The next attempt reports further ones.
pub(super) const MISTAKES_MAX: usize = 50;
/// Bytes of the name of a section or a key.
pub(super) const NAME_MAX: usize = 80;
/// Keys of one section. No section has that many.
pub(super) const KEYS_MAX: usize = 64;
/// Sections with different names.
pub(super) const SECTIONS_MAX: usize = 300;

/// Sections of destinations beside the first of each kind. A reload opens their spools in one turn,
/// at about 0.15 ms each, and the loop visits every destination in every turn.
pub(super) const DESTINATIONS_MAX: usize = 16;
/// `[namespace.NAME]` sections.
pub(super) const NAMESPACES_MAX: usize = 32;
/// Different combinations of format, name space and own figures among the destinations. A flush
/// writes every summary once for each.
pub(super) const ENCODINGS_MAX: usize = 10;
/// Different percentiles of `[statsd]` and all rules together.
pub(super) const ALL_PERCENTILES_MAX: usize = 64;
/// Different bins of all rules together.
pub(super) const ALL_BINS_MAX: usize = 512;

/// Addresses of one `bind`.
pub(super) const ADDRESSES_MAX: usize = 64;
/// Networks of one `allow_from`. Each packet is compared with all of them in turn.
pub(super) const NETWORKS_MAX: usize = 500;
/// Names of `hosts`. Each HTTP request is compared with all of them in turn.
pub(super) const HOSTS_MAX: usize = 100;
/// Tags of one name space. Each point gets all of them.
pub(super) const TAGS_MAX: usize = 32;
/// Patterns of one rule. Each new name is compared with all of them in turn.
pub(super) const PATTERNS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::ini;
    use super::super::parse::tests::{config, mistakes};
    use super::*;

    fn many(count: usize, section: impl Fn(usize) -> String) -> String {
        (0..count).map(section).collect()
    }

    #[track_caller]
    fn one_mistake(text: &str, expected: &str) {
        let found = mistakes(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn the_number_of_destinations_is_bounded_whatever_their_kinds() {
        let kinds = ["carbon", "influxdb", "ganglia", "repeater"];
        let text = |count| many(count, |n| format!("[{}.{n}]\naddress = a\n", kinds[n % 4]));
        assert_eq!(
            config(&text(DESTINATIONS_MAX)).active_destinations().count(),
            DESTINATIONS_MAX + 1
        );
        one_mistake(
            &text(DESTINATIONS_MAX + 1),
            "t.conf:33: [carbon.16]: expected at most 16 further destinations",
        );
    }

    #[test]
    fn the_number_of_name_spaces_and_of_encodings_is_bounded() {
        let text = |count| many(count, |n| format!("[namespace.{n}]\n"));
        assert_eq!(config(&text(NAMESPACES_MAX)).namespaces.len(), NAMESPACES_MAX + 1);
        one_mistake(&text(NAMESPACES_MAX + 1), "[namespace.32]: expected at most 32 name spaces");
        let text = |count| {
            let used = |n| format!("[namespace.{n}]\n[exec.{n}]\ncommand = a\nnamespace = {n}\n");
            format!("[carbon]\naddress =\n{}", many(count, used))
        };
        config(&text(ENCODINGS_MAX));
        one_mistake(
            &text(ENCODINGS_MAX + 1),
            "expected at most 10 different combinations of format",
        );
    }

    #[test]
    fn the_number_of_figures_of_all_rules_together_is_bounded() {
        let rule = |n: usize, key: &str, values: std::ops::Range<usize>| {
            let values: Vec<_> = values.map(|value| value.to_string()).collect();
            format!("[rule.{n}]\nmatch = a\n{key} = {}\n", values.join(", "))
        };
        let bins = |last| {
            rule(1, "histogram", 0..256)
                + &rule(2, "histogram", 256..last)
                + &rule(3, "histogram", 0..9)
        };
        config(&bins(512));
        one_mistake(
            &(bins(512) + &rule(4, "histogram", 512..513)),
            "at most 512 different histogram",
        );
        let percentiles = rule(1, "percentiles", 1..64) + "[statsd]\npercentiles = 1.5\n";
        config(&percentiles);
        let one_more = percentiles + &rule(2, "percentiles", 64..65);
        one_mistake(&one_more, "at most 64 different percentiles in all, not 65");
    }

    #[test]
    fn lists_are_bounded() {
        for (section, key, item, most) in [
            ("udp", "bind", "127.0.0.1:", ADDRESSES_MAX),
            ("admin", "bind", "127.0.0.1:", ADDRESSES_MAX),
            ("tcp", "allow_from", "::", NETWORKS_MAX),
            ("rule.a", "match", "a", PATTERNS_MAX),
            ("admin", "hosts", "a", HOSTS_MAX),
        ] {
            let list = |count| {
                let items: Vec<_> = (1..=count).map(|n| format!("{item}{n}")).collect();
                format!("[{section}]\n{key} = {}\n", items.join(", "))
            };
            config(&list(most));
            one_mistake(&list(most + 1), &format!("{key}: expected at most {most}"));
        }
    }

    #[test]
    fn names_and_keys_and_sections_are_bounded() {
        let long = "x".repeat(NAME_MAX + 1);
        one_mistake(&format!("[{long}]"), "1: expected the name of a section, not \"xxx");
        one_mistake(&format!("[statsd]\n{long} = 1"), "2: expected the name of a key, not \"xxx");
        let flaws = |text: &str| -> Vec<String> {
            ini::read(text.as_bytes()).flaws.into_iter().map(|flaw| flaw.what).collect()
        };
        let keys = |count| format!("[statsd]\n{}", many(count, |n| format!("k{n} =\n")));
        assert!(flaws(&keys(KEYS_MAX)).is_empty());
        assert_eq!(
            flaws(&keys(KEYS_MAX + 1)),
            ["[statsd] k64: expected at most 64 keys in a section"]
        );
        let sections = |count| many(count, |n| format!("[s{n}]\n[s{n}]\n"));
        assert!(flaws(&sections(SECTIONS_MAX)).is_empty());
        let found = flaws(&sections(SECTIONS_MAX + 1));
        assert_eq!(found[0], "[s300]: expected at most 300 sections");
    }

    #[test]
    fn the_bytes_beside_comments_are_bounded() {
        let comments = "# a comment\n  ; another one\n".repeat(10_000);
        let line = format!("k = {}\n", "x".repeat(CONTENT_MAX / 2 - 20));
        let flaws = |text: &str| ini::read(text.as_bytes()).flaws;
        let fits = format!("[a]\n{comments}{line}[b]\n{line}");
        assert_eq!(flaws(&fits), []);
        let found = flaws(&format!("{fits}[c]\n{line}[d]\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "expected at most 128k in a file beside its comments");
        assert_eq!(found[0].place.line(), 20_006);
    }

    #[test]
    fn at_most_50_mistakes_are_reported_and_that_there_are_more() {
        let found = mistakes(&"x\n".repeat(MISTAKES_MAX));
        assert_eq!(found.len(), MISTAKES_MAX);
        for wrong in ["x\n", "[x]\n[y]\n", "[statsd]\nx =\ny =\n", "[carbon.b]\nqueue = x\n"] {
            let found = mistakes(&wrong.repeat(MISTAKES_MAX + 50));
            assert!(found.len() <= MISTAKES_MAX + 1, "{}", found.len());
        }
        let found = mistakes(&"x\n".repeat(1000));
        assert_eq!(found.len(), MISTAKES_MAX + 1);
        assert!(found[MISTAKES_MAX].contains("50: there are more mistakes than these 50"));
    }
}
