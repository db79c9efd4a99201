//! Which of the two formats of `/metrics` a client prefers, and whether it accepts compressed
//! answers. Pure.

use crate::encode::exposition::Exposition;

/// How a range of media types fits a format: how exactly it names the format, and its weight.
///
/// The most exact range decides the weight of a format, as RFC 9110 requires. So `*/*` does not
/// allow a format that another range has excluded with `q=0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    exactness: u8,
    weight: u16,
}

/// Returns the format that a client prefers by its field `Accept`.
///
/// Without such a field, or if it accepts both equally, it is OpenMetrics, unless the client names
/// only the other one. A browser, which prefers HTML, gets the text format, because it shows that
/// one and would save the other to a file.
pub(super) fn exposition(accept: Option<&str>) -> Exposition {
    let Some(accept) = accept else { return Exposition::OpenMetrics };
    let mut open = Fit::default();
    let mut text = Fit::default();
    for media in accept.split(',') {
        let mut parts = media.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut weight = 1000;
        let mut version = None;
        for parameter in parts {
            match parameter.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("q" | "Q", value)) => weight = thousandths(value),
                Some(("version", value)) => version = Some(value.trim_matches('"')),
                _ => {}
            }
        }
        let fit = |exactness| Fit { exactness, weight };
        match (name.as_str(), version) {
            ("application/openmetrics-text", Some("1.0.0" | "0.0.1")) => open = open.max(fit(5)),
            ("application/openmetrics-text", None) => open = open.max(fit(4)),
            ("text/plain", Some("0.0.4")) => text = text.max(fit(5)),
            ("text/plain", None) => text = text.max(fit(4)),
            ("text/html", _) => text = text.max(fit(3)),
            ("application/*", _) => open = open.max(fit(2)),
            ("text/*", _) => text = text.max(fit(2)),
            ("*/*", _) => {
                open = open.max(fit(1));
                text = text.max(fit(1));
            }
            _ => {}
        }
    }
    // The text format needs a higher weight, or the same one by a range that names it alone.
    let is_named = text.exactness > 2 && open.exactness <= 2;
    if text.weight > open.weight || (text.weight == open.weight && text.weight > 0 && is_named) {
        Exposition::Text
    } else {
        Exposition::OpenMetrics
    }
}

/// Whether a client takes answers in gzip by its field `Accept-Encoding`. Without the field it may
/// be one that cannot read them.
pub(super) fn takes_gzip(accept: Option<&str>) -> bool {
    let mut gzip = None;
    let mut any = false;
    for coding in accept.unwrap_or_default().split(',') {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start();
        let is_taken = thousandths(weight.trim_start_matches('=').trim()) > 0;
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(is_taken),
            "*" => any = is_taken,
            _ => {}
        }
    }
    gzip.unwrap_or(any)
}

/// Returns a weight such as `0.25` in thousandths. A text that is no weight counts as 1.
fn thousandths(text: &str) -> u16 {
    let weight = text.parse::<f64>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 1000
    weight.map_or(1000, |weight| (weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_clients_that_take_it() {
        for (accept, takes) in [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("deflate, GZIP;q=0.5"), true),
            (Some("x-gzip"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.000, *"), false),
            (Some("*"), true),
            (Some("*;q=0"), false),
            (Some("identity, br"), false),
            (Some("gzipped"), false),
        ] {
            assert_eq!(takes_gzip(accept), takes, "{accept:?}");
        }
    }

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        use Exposition::{OpenMetrics, Text};
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
            */*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
            */*;q=0.2";
        let old_prometheus = "text/plain;version=0.0.4;q=1,*/*;q=0.1";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, format) in [
            (None, OpenMetrics),
            (Some("*/*"), OpenMetrics),
            (Some(""), OpenMetrics),
            (Some(prometheus_2), OpenMetrics),
            (Some(prometheus_3), OpenMetrics),
            (Some(old_prometheus), Text),
            (Some("text/plain;version=0.0.4"), Text),
            (Some("text/plain; version=0.0.4; charset=utf-8"), Text),
            (Some("text/plain"), Text),
            (Some("Text/Plain;Q=0.5, application/openmetrics-text;q=0.4"), Text),
            (Some("text/plain;q=0.4, application/openmetrics-text;q=0.4"), OpenMetrics),
            (Some("text/plain;version=9, */*"), OpenMetrics),
            (Some("application/openmetrics-text;q=0, text/plain;q=0.1"), Text),
            (Some("text/*"), Text),
            (Some("text/plain, */*"), Text),
            // The more exact range decides, in any order.
            (Some("application/openmetrics-text;q=0, */*"), Text),
            (Some("*/*, application/openmetrics-text;q=0"), Text),
            (Some("application/*;q=0, */*"), Text),
            (Some("text/plain;q=0, */*"), OpenMetrics),
            (Some("text/plain;version=0.0.4;q=0.1, text/plain, application/*;q=0.5"), OpenMetrics),
            (Some("application/openmetrics-text;q=0, text/plain;q=0"), OpenMetrics),
            (Some("image/png"), OpenMetrics),
            (Some(browser), Text),
        ] {
            assert_eq!(exposition(accept), format, "{accept:?}");
        }
    }
}
