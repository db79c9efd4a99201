//! Decides whether connections break because of a chunk or because of the peer. Pure.
//!
//! A chunk that makes the peer close the connection ("poison") would hold up all later chunks for
//! ever. A peer that closes every connection, such as a proxy whose backend is down, must cost no
//! chunk at all. So a break at a chunk counts as a *strike* against it only if another chunk has
//! arrived since the strike before. Then the peer accepts others, but not this one. After three
//! breaks in a row at one chunk the next chunk goes first, so that it can arrive.

/// Strikes at which a chunk is guilty.
const STRIKES: u8 = 3;
/// After this many breaks in a row at one chunk the next one goes first.
const PATIENCE: u8 = 3;

/// The chunk at the head of the last break.
#[derive(Debug)]
pub(super) struct Suspect<Id> {
    id: Id,
    strikes: u8,
    /// Breaks in a row since another chunk last went first.
    breaks: u8,
    /// Another chunk has arrived since the last strike.
    others_pass: bool,
}

/// What happens to a chunk that a connection broke at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent again first.
    Again,
    /// It is sent again, after the next one.
    LetPass,
    /// It is dropped.
    Guilty,
}

impl<Id: Copy + PartialEq> Suspect<Id> {
    /// Handles a break with this chunk at the head.
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

    /// Notes that a chunk was acknowledged, for the `first` time or again. If it is the suspect,
    /// the case ends.
    pub(super) fn note_answer(case: &mut Option<Self>, id: Id, first: bool) {
        match case {
            Some(suspect) if suspect.id == id => *case = None,
            Some(suspect) => suspect.others_pass |= first,
            None => {}
        }
    }
}
