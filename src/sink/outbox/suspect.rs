//! Decides whether connections break because of a chunk or because of the peer. Pure.
//!
//! A chunk that makes the peer close the connection ("poison") would hold up all later chunks for
//! ever, so it must be dropped. A peer that closes every connection, such as a proxy whose backend
//! is down, must cost no chunk at all. So a break at a chunk counts as a *strike* against the chunk
//! only if another chunk has arrived since the last strike. Then the peer accepts others, but not
//! this one.
//!
//! After three breaks in a row at one chunk the next chunk is sent first, so that it can arrive.

/// A chunk with this many strikes is dropped.
const STRIKES: u8 = 3;
/// After this many breaks in a row at one chunk the next chunk is sent first. `REFUSALS_BELIEVED`
/// in `link.rs` must be larger.
const PATIENCE: u8 = 3;

/// The chunk at which the last connection broke.
#[derive(Debug)]
pub(super) struct Suspect<Id> {
    id: Id,
    strikes: u8,
    /// Breaks in a row at this chunk, since another chunk was last sent first.
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
    /// Handles a break at this chunk and returns the verdict. A break at another chunk than the
    /// last one starts a new case.
    pub(super) fn accuse(case: &mut Option<Self>, id: Id) -> Verdict {
        // The first break counts as a strike: nothing is known yet against the peer.
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
    /// the case is closed. Otherwise only a first acknowledgement counts against the suspect:
    /// chunks that are sent again pass even if the peer accepts nothing new.
    pub(super) fn note_answer(case: &mut Option<Self>, id: Id, first: bool) {
        match case {
            Some(suspect) if suspect.id == id => *case = None,
            Some(suspect) => suspect.others_pass |= first,
            None => {}
        }
    }
}
