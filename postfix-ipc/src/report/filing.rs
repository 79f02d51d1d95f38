//! The rules for what is told to whom about a verdict, and what follows from it
//! (`src/global/sent.c`, `bounce.c`, `defer.c`).

use smtp_policy::report::{Outcome, Status};
use smtp_proto::EnhancedStatus;

use super::record::Book;
use crate::request::{NotifyFlags, Recipient, RequestFlags};

/// The consequences of a verdict on a recipient: reports, which go out in their order,
/// before the verdict is logged and the recipient is marked.
///
/// ```
/// use postfix_ipc::{report::{Book, Filing, Report}, request::{Recipient, RequestFlags}};
/// use smtp_policy::report::{Outcome, Status};
/// use smtp_proto::EnhancedStatus;
///
/// let outcome = Outcome::new(Status::Bounced, EnhancedStatus::new(5, 1, 1), "no such user");
/// let filing = Filing::new(RequestFlags(3), &Recipient::default(), &outcome);
/// assert_eq!(filing.reports, [Report::Record(Book::Bounce)]);
/// assert!(filing.mark && !filing.defer && !filing.flush);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// The reports to make.
    pub reports: Vec<Report>,
    /// True if the recipient is marked as done once the reports are made.
    pub mark: bool,
    /// True if the request ends with -1 even if all reports are made.
    pub defer: bool,
    /// True if flush(8) hears of the message, where it keeps a list for the domain.
    pub flush: bool,
    /// The consequence of a report that cannot be made.
    pub failed: Failed,
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// To verify(8): [`VerifyUpdate::of`](super::VerifyUpdate::of).
    Verify,
    /// To bounce(8): [`StatusRecord::new`](super::StatusRecord::new).
    Record(Book),
}

/// The consequence of a report that cannot be made. The recipient is not marked then, and the
/// request ends with -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The recipient gets another verdict: [`Failed::verdict`].
    Replaced,
    /// `warning: ID: SERVICE service failure` is logged, the other reports are made, and all goes
    /// on as if nothing had happened.
    Warned,
    /// The recipient stays as it is.
    Kept,
}

impl Filing {
    /// The consequences of a verdict. The recipient is the one of the request.
    pub fn new(flags: RequestFlags, recipient: &Recipient, outcome: &Outcome) -> Self {
        let probe = |report| Self {
            reports: vec![report],
            mark: true,
            defer: false,
            flush: false,
            failed: Failed::Kept,
        };
        if flags.contains(RequestFlags::MTA_VERIFY) {
            return probe(Report::Verify);
        }
        if flags.contains(RequestFlags::USER_VERIFY) {
            return probe(Report::Record(Book::Trace));
        }
        let deferred = outcome.status == Status::Deferred;
        // A bounce that soft_bounce makes a deferral is one in all else.
        let softened = deferred && outcome.word != "deferred";
        let (books, failed) = match outcome.status {
            Status::Sent => (
                traces(flags, &recipient.reported(outcome)),
                Failed::Replaced,
            ),
            Status::Bounced => (recorded(Book::Bounce, flags), Failed::Replaced),
            Status::Deferred if softened => (recorded(Book::Defer, flags), Failed::Replaced),
            Status::Deferred => (recorded(Book::Defer, flags), Failed::Warned),
        };
        Self {
            reports: books.into_iter().map(Report::Record).collect(),
            mark: outcome.status == Status::Bounced
                || (!deferred && flags.contains(RequestFlags::SUCCESS)),
            defer: deferred,
            // It would not go away by trying.
            flush: deferred && !softened,
            failed,
        }
    }

    /// The same with `address_verify_negative_cache` off: verify(8) is not told of an address
    /// that is not deliverable. (The word in the log is `undeliverable-but-not-cached` then.)
    pub fn without_negative_probe(mut self, outcome: &Outcome) -> Self {
        if outcome.status != Status::Sent {
            self.reports.retain(|report| *report != Report::Verify);
        }
        self
    }
}

/// A failure goes into its book, and where the sender wants to see all, into that of
/// traces.
fn recorded(book: Book, flags: RequestFlags) -> Vec<Book> {
    match flags.contains(RequestFlags::RECORD) {
        true => vec![book, Book::Trace],
        false => vec![book],
    }
}

/// A delivery is told if the sender wants to see all, if he was told of a delay and had not
/// declined to hear of one, and once more if he asked for it.
fn traces(flags: RequestFlags, recipient: &Recipient) -> Vec<Book> {
    let notify = recipient.notify;
    let delays = notify == NotifyFlags::default() || notify.contains(NotifyFlags::DELAY);
    let all = flags.contains(RequestFlags::RECORD)
        || (flags.contains(RequestFlags::DELAY_REPORTED) && delays);
    let asked = notify.contains(NotifyFlags::SUCCESS);
    let count = usize::from(all) + usize::from(asked);
    vec![Book::Trace; count]
}

impl Failed {
    /// The verdict in place of one that could not be reported, which is then filed itself;
    /// `None` if none takes its place. `bounce` and `trace` are the names of the services.
    pub fn verdict(
        self,
        queue_id: &str,
        outcome: &Outcome,
        bounce: &str,
        trace: &str,
    ) -> Option<Outcome> {
        if self != Self::Replaced {
            return None;
        }
        let text = match outcome.status {
            Status::Sent => format!("{queue_id}: {trace} service failed"),
            Status::Bounced | Status::Deferred => format!("{bounce} or {trace} service failure"),
        };
        let code = EnhancedStatus::new(4, 3, 0);
        Some(replaced(outcome, Status::Deferred, code, &text))
    }
}

/// Another verdict about the same delivery: server and times are told as they were.
fn replaced(outcome: &Outcome, status: Status, code: EnhancedStatus, text: &str) -> Outcome {
    let Outcome {
        word,
        text,
        scope,
        action,
        ..
    } = Outcome::new(status, code, text);
    let mut verdict = outcome.clone();
    (verdict.status, verdict.word, verdict.code) = (status, word, code);
    (verdict.text, verdict.scope, verdict.action) = (text, scope, action);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status) -> Outcome {
        Outcome::new(status, EnhancedStatus::new(2, 0, 0), "text")
    }

    /// The books of a verdict, and whether it marks and defers.
    fn filed(flags: u32, notify: u32, outcome: &Outcome) -> (Vec<Book>, bool, bool) {
        let recipient = Recipient {
            notify: NotifyFlags(notify),
            ..Recipient::default()
        };
        let filing = Filing::new(RequestFlags(flags), &recipient, outcome);
        let book = |report: Report| match report {
            Report::Record(book) => book,
            Report::Verify => panic!("not to verify(8)"),
        };
        let books = filing.reports.into_iter().map(book).collect();
        (books, filing.mark, filing.defer)
    }

    #[test]
    fn failures_go_into_their_books() {
        use Book::{Bounce, Defer, Trace};
        let bounced = outcome(Status::Bounced);
        let deferred = outcome(Status::Deferred);
        assert_eq!(filed(3, 0, &bounced), (vec![Bounce], true, false));
        assert_eq!(filed(1027, 0, &bounced), (vec![Bounce, Trace], true, false));
        assert_eq!(filed(3, 0, &deferred), (vec![Defer], false, true));
        assert_eq!(filed(1027, 2, &deferred), (vec![Defer, Trace], false, true));
        // NOTIFY is for bounce(8) to judge.
        assert_eq!(filed(3, 1, &bounced), (vec![Bounce], true, false));
    }

    #[test]
    fn deliveries_are_traced_as_often_as_they_are_asked_for() {
        let mut sent = outcome(Status::Sent);
        for (flags, notify, traces) in [
            (3, 0, 0),
            (3, 2, 1),
            (3, 4, 0),
            (1027, 0, 1),
            (1027, 2, 2),
            (8195, 0, 1),
            (8195, 8, 1),
            (8195, 4, 0),
            (8195, 2, 1),
            (8195, 10, 2),
            (1027 | 8192, 4, 1),
        ] {
            let books = vec![Book::Trace; traces];
            assert_eq!(
                filed(flags, notify, &sent),
                (books, true, false),
                "{flags} {notify}"
            );
        }
        // Once the server has taken over, nothing but a delay was asked for.
        sent.server_reports = true;
        assert_eq!(filed(3, 2, &sent), (vec![], true, false));
        assert_eq!(filed(8195, 2, &sent), (vec![Book::Trace], true, false));
        // Without the flag nothing that was delivered is marked.
        assert_eq!(filed(2, 0, &sent), (vec![], false, false));
    }

    #[test]
    fn probes_are_told_and_marked_whatever_they_find() {
        for status in [Status::Sent, Status::Deferred, Status::Bounced] {
            let outcome = outcome(status);
            assert_eq!(filed(515, 0, &outcome), (vec![Book::Trace], true, false));
            let filing = Filing::new(RequestFlags(259), &Recipient::default(), &outcome);
            assert_eq!(filing.reports, [Report::Verify]);
            assert!(filing.mark && !filing.defer && !filing.flush);
            let told = filing.without_negative_probe(&outcome).reports.len();
            assert_eq!(told, usize::from(status == Status::Sent));
        }
    }

    #[test]
    fn soft_bounces_are_bounces_but_for_their_book() {
        let mut deferred = outcome(Status::Deferred);
        let flush =
            |outcome: &Outcome| Filing::new(RequestFlags(3), &Recipient::default(), outcome).flush;
        assert!(flush(&deferred));
        deferred.word = "SOFTBOUNCE";
        assert!(!flush(&deferred));
        let filing = Filing::new(RequestFlags(3), &Recipient::default(), &deferred);
        assert_eq!(filing.reports, [Report::Record(Book::Defer)]);
        assert!(filing.defer && !filing.mark && filing.failed == Failed::Replaced);
    }

    #[test]
    fn a_verdict_that_cannot_be_told_is_another() {
        let text = |status| {
            let verdict = Failed::Replaced.verdict("8A4EB6F", &outcome(status), "bounce", "trace");
            verdict.map(|verdict| verdict.text.to_string())
        };
        assert_eq!(
            text(Status::Sent).as_deref(),
            Some("8A4EB6F: trace service failed")
        );
        assert_eq!(
            text(Status::Bounced).as_deref(),
            Some("bounce or trace service failure")
        );
        let deferred = outcome(Status::Deferred);
        assert!(Failed::Warned.verdict("", &deferred, "", "").is_none());
    }
}
