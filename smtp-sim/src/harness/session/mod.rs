//! A session against a peer that says anything, at any time, in any pieces, and a
//! driver that decides anything.

mod case;
mod play;
mod seen;

use std::collections::BTreeSet;

use smtp_proto::session::{Closed, Event, Said, Stage};

pub use self::seen::Place;
use self::{
    case::{Case, Reading, SECRET_BASE64},
    play::play,
    seen::Seen,
};

/// A text of this size surely fits into the queue of a session, however it is encoded.
const FITS: usize = 32 * 1024;

/// A peer and the decisions of this side, whole and in pieces.
///
/// The session goes the same way however the bytes are cut. What it writes is whole
/// lines; nothing follows QUIT, and nothing STARTTLS before the handshake is over. A text follows
/// a 354, comes out as it went in, and has an end only if it was given one. No time
/// limit passes unnoticed, and when the peer closes or is silent, the session ends.
/// Nobody is told what is said in a login.
///
/// # Panics
/// One of these does not hold.
pub fn session(input: &[u8]) {
    let _ = reach(input);
}

/// As [`session`], and says how far the dialogue got.
pub fn reach(input: &[u8]) -> BTreeSet<Place> {
    let Some(case) = super::read::<Case<'_>>(input) else {
        return BTreeSet::new();
    };
    let mut whole = play(&case, None).unwrap_or_default();
    let mut pieces = play(&case, Some(case.lengths)).unwrap_or_default();
    check(&case, &whole);
    if depends_on_cuts(&case, &whole) || depends_on_cuts(&case, &pieces) {
        check(&case, &pieces);
    } else {
        // What waits to be written then is dropped: more, if the server had answered
        // ahead of the commands.
        let drops = matches!(
            whole.closed,
            Some(Closed::Abandoned | Closed::Stale | Closed::Protocol(..))
        );
        if drops && pieces.written.starts_with(&whole.written) {
            whole.written.clone_from(&pieces.written);
        }
        // While a long text goes out, replies are read ahead, and with them what is
        // told of replies that nobody waits for in the end.
        if case.text().len() > FITS {
            for seen in [&mut whole, &mut pieces] {
                seen.events.retain(|event| !matches!(event, Event::Note(_)));
                seen.journal.clear();
            }
        }
        let difference = whole.difference(&pieces);
        assert!(difference.is_empty(), "the cuts change {difference}");
    }
    whole.reached
}

/// Whether it matters when something was read: a reply to MAIL is early if it was there
/// before MAIL, a text that does not fit into the queue is left where a refusal
/// is read, a peer that goes leaves more unwritten if it had answered ahead, and what was
/// said before a probe is forgotten, but speaks against the peer if it comes after it.
fn depends_on_cuts(case: &Case<'_>, seen: &Seen) -> bool {
    let left = Some(Closed::Abandoned);
    let refused =
        seen.closed == left || matches!(seen.closed, Some(Closed::Protocol(Stage::Text, _)));
    seen.hushed
        || seen.events.contains(&Event::EarlyMailReply)
        || matches!(case.reading(), Reading::Gone(_))
        || (refused && case.text().len() > FITS)
}

fn check(case: &Case<'_>, seen: &Seen) {
    let whole = matches!(case.reading(), Reading::All | Reading::Slowly(_));
    let (mut at, mut quit) = (0, false);
    for text in &seen.texts {
        let commands = seen.written.get(at..text.from).unwrap_or_default();
        quit = check_commands(commands, quit, whole);
        let (decoded, end) = text.decode(&seen.written);
        assert!(
            text.finished || end.is_none(),
            "a text ends that was not finished"
        );
        assert!(
            !(text.finished && whole) || end.is_some(),
            "a finished text does not end"
        );
        let mut given = text.given.clone();
        if text.finished && given.last().is_some_and(|byte| *byte != b'\n') {
            given.push(b'\n');
        }
        let same = match end {
            Some(_) => decoded == given,
            // What comes behind a line end says whether the line was broken there.
            None => given.starts_with(decoded.strip_suffix(b"\n").unwrap_or(&decoded)),
        };
        assert!(same, "the text is another");
        at = end.unwrap_or(seen.written.len());
    }
    check_commands(seen.written.get(at..).unwrap_or_default(), quit, whole);
    check_journal(case, &seen.journal);
}

/// Checks what is no text. Returns whether QUIT has been said.
fn check_commands(commands: &[u8], mut quit: bool, whole: bool) -> bool {
    assert!(
        !whole || commands.is_empty() || commands.ends_with(b"\r\n"),
        "half a line was written"
    );
    for line in commands.split_inclusive(|byte| *byte == b'\n') {
        assert!(!quit, "something follows QUIT");
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let printable = |byte: &u8| matches!(byte, b' '..=b'~');
        assert!(content.iter().all(printable), "a command is no line");
        quit = content == b"QUIT";
    }
    quit
}

fn check_journal(case: &Case<'_>, journal: &[Said]) {
    let secret = String::from_utf8_lossy(SECRET_BASE64);
    let shown = |said: &Said| match said {
        Said::Client(line) | Said::Server(line) | Said::Replacement(line) => {
            line.contains(&*secret)
        }
    };
    assert!(
        case.knows_secret() || !journal.iter().any(shown),
        "a secret is written down"
    );
}
