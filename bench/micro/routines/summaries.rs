//! Keeps the summaries of a flush, which encoders read again and again.

use statsd::encode::namespace::Style;
use statsd::engine::Closing;
use statsd::flush::{Subject, Summary};
use statsd::policy::Figure;

use super::corpus::Corpus;
use super::{engine, receive};

#[derive(Debug)]
pub(crate) struct Summaries(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    subject: Subject,
    name: Box<[u8]>,
    has_plain_name: bool,
    figures: Box<[Figure]>,
}

impl Summaries {
    /// Of all series of a corpus, in the table's order, with the figures of a style.
    pub(crate) fn of(corpus: &Corpus, style: Style) -> Self {
        let style = if style == Style::Statsite { "[namespace]\nstyle = statsite" } else { "" };
        let (mut engine, mut all) = (engine(style), Vec::new());
        corpus.packets().for_each(|packet| receive(&mut engine, packet));
        engine.tick();
        let mut keep = |summary: &Summary<'_>| {
            let Summary { subject, name, has_plain_name, figures, .. } = *summary;
            let (name, figures) = (name.into(), figures.into());
            all.push(Kept { subject, name, has_plain_name, figures });
        };
        while !engine.sweep(usize::MAX, &mut keep) {}
        engine.finish(&Closing::default(), &mut |_| {});
        Self(all)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Summary<'_>> {
        self.0.iter().map(|Kept { subject, name, has_plain_name, figures }| Summary {
            has_plain_name: *has_plain_name,
            ..Summary::new(*subject, name, figures)
        })
    }
}
