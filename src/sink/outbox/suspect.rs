//! The case against the chunk that connections break at: is it the chunk, or is it the peer? Pure.
//!
//! A chunk that makes the peer hang up ("poison") would hold up all behind it for ever. A peer that accepts and hangs
//! up whatever it is sent (a proxy whose backend is away) must cost no chunk at all. So a break at a chunk counts as a
//! *strike* against it only if another chunk has arrived since the strike before: the peer takes others, not this one.
//! For another to arrive, a chunk that was first in line for three breaks running lets the next one pass.

/// Strikes at which a chunk is guilty.
const STRIKES: u8 = 3;
/// Breaks running at one chunk after which the next one goes first.
const PATIENCE: u8 = 3;

/// The chunk at the head of the last break.
#[derive(Debug)]
pub(super) struct Suspect<Id> {
    id: Id,
    strikes: u8,
    /// Breaks running since it last let one pass.
    breaks: u8,
    /// Another chunk has arrived since the last strike.
    others_pass: bool,
}

/// What becomes of a chunk that a connection broke at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent again first.
    Again,
    /// It is sent again, behind the next one.
    LetPass,
    Guilty,
}

impl<Id: Copy + PartialEq> Suspect<Id> {
    /// A connection broke with this chunk at its head.
    pub(super) fn accuse(case: &mut Option<Self>, id: Id) -> Verdict {
        let fresh = Self { id, strikes: 0, breaks: 0, others_pass: true };
        let mut suspect = case.take().filter(|suspect| suspect.id == id).unwrap_or(fresh);
        suspect.breaks += 1;
        suspect.strikes += u8::from(suspect.others_pass);
        suspect.others_pass = false;
        if suspect.strikes == STRIKES {
            return Verdict::Guilty;
        }
        let let_pass = suspect.breaks == PATIENCE;
        if let_pass {
            suspect.breaks = 0;
        }
        *case = Some(suspect);
        if let_pass { Verdict::LetPass } else { Verdict::Again }
    }

    /// A chunk was acknowledged: the suspect itself, which ends the case, or another, for the `first` time or again.
    pub(super) fn note_answer(case: &mut Option<Self>, id: Id, first: bool) {
        match case {
            Some(suspect) if suspect.id == id => *case = None,
            Some(suspect) => suspect.others_pass |= first,
            None => {}
        }
    }
}
