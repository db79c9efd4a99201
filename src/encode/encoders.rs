//! Every encoder in use: a summary is encoded once for each, whatever number of sinks take its chunks.

use std::rc::Rc;

use super::chunk::Chunk;
use super::graphite::Graphite;
use super::namespace::Namespace;
use crate::flush::{FigureNames, Summary};

#[derive(Debug)]
pub struct Encoders(Vec<Encoder>);

#[derive(Debug)]
struct Encoder {
    /// Of its name space.
    name: String,
    graphite: Graphite,
}

/// Whose chunks a sink takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncoderId(usize);

impl Encoders {
    /// One for each name space.
    pub fn new<'a>(
        namespaces: impl IntoIterator<Item = &'a Namespace>,
        figures: &FigureNames,
    ) -> Self {
        let encoder = |namespace: &Namespace| Encoder {
            name: namespace.name.clone(),
            graphite: Graphite::new(namespace, figures),
        };
        Self(namespaces.into_iter().map(encoder).collect())
    }

    /// The encoder of the name space called so.
    pub fn id(&self, name: &str) -> Option<EncoderId> {
        self.0.iter().position(|encoder| encoder.name == name).map(EncoderId)
    }

    /// Begins a flush; its lines carry `stamp`, in seconds since 1970.
    pub fn begin(&mut self, flush: u64, stamp: u64) {
        for encoder in &mut self.0 {
            encoder.graphite.begin(flush, stamp);
        }
    }

    pub fn encode(&mut self, summary: &Summary<'_>) {
        for encoder in &mut self.0 {
            encoder.graphite.encode(summary);
        }
    }

    /// Ends the flush: what is left becomes chunks too.
    pub fn end(&mut self) {
        for encoder in &mut self.0 {
            encoder.graphite.chunks().end();
        }
    }

    /// Takes the sealed chunks, each encoder's oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = (EncoderId, Rc<Chunk>)> {
        self.0.iter_mut().enumerate().flat_map(|(place, encoder)| {
            encoder.graphite.chunks().take().map(move |chunk| (EncoderId(place), chunk))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::namespace::Style;
    use super::*;
    use crate::flush::{Figure, FigureId, Subject};

    #[test]
    fn a_summary_is_encoded_once_for_each_name_space() {
        let modern = Namespace { name: "new".into(), style: Style::Modern, ..Default::default() };
        let mut encoders =
            Encoders::new([&Namespace::default(), &modern], &FigureNames::new(&[], &[]));
        let (old, new) = (encoders.id("").unwrap(), encoders.id("new").unwrap());
        assert_eq!(encoders.id("statsite"), None);
        encoders.begin(1, 10);
        let figures = [Figure { id: FigureId::COUNT, value: 2.0 }];
        let (subject, name) = (Subject::Counter, &b"a"[..]);
        let summary = Summary { subject, name, figures: &figures, idle: false, timestamp: None };
        encoders.encode(&summary);
        assert_eq!(encoders.take().count(), 0, "no chunk is full");
        encoders.end();
        let texts: Vec<_> =
            encoders.take().map(|(id, chunk)| (id, chunk.bytes().to_vec())).collect();
        assert_eq!(
            texts,
            [
                (old, b"stats_counts.a 2 10\n".into()),
                (new, b"stats.counters.a.count 2 10\n".into())
            ]
        );
    }
}
