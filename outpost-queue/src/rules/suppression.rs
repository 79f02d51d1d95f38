//! Addresses that get no more mail for a time, since a server said that there is no such mailbox. Postfix has nothing of the
//! kind; it is off unless [`Rules::suppression`](super::Rules::suppression) is set.

use core::time::Duration;

use smtp_policy::report::{Outcome, Scope, Status};
use smtp_proto::EnhancedStatus;

/// The time for which addresses that bounced hard get no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suppression {
    /// The time from the bounce on: 14 days. [`Duration::MAX`]: until an operator takes the address out.
    pub time: Duration,
}

impl Default for Suppression {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(14 * 86_400),
        }
    }
}

/// The enhanced status codes (RFC 3463, RFC 7505) that are about the address itself, and the reason why the next message
/// will fare the same. All others can be about this message, its sender or this day: a full mailbox, a block list, a policy.
const HARD: [(EnhancedStatus, &str); 6] = [
    (EnhancedStatus::new(5, 1, 1), "there is no such mailbox"),
    (EnhancedStatus::new(5, 1, 2), "there is no such domain"),
    (EnhancedStatus::new(5, 1, 3), "the address is malformed"),
    (EnhancedStatus::new(5, 1, 6), "the mailbox has moved"),
    (EnhancedStatus::new(5, 1, 10), "the domain takes no mail"),
    (EnhancedStatus::new(5, 2, 1), "the mailbox is disabled"),
];

/// The reason why an address is to get no more mail after this verdict, if it is not. A verdict on the message or of a
/// broken connection says nothing about the address.
pub fn is_hard(outcome: &Outcome) -> Option<&'static str> {
    let about_address = matches!(outcome.scope, Scope::Recipient | Scope::Site);
    if outcome.status != Status::Bounced || outcome.uncertain || !about_address {
        return None;
    }
    let found = HARD.iter().find(|(code, _)| *code == outcome.code);
    found.map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_address_is_hard() {
        let rows = [
            (Status::Bounced, (5, 1, 1), Scope::Recipient, true),
            (Status::Bounced, (5, 1, 10), Scope::Site, true),
            (Status::Bounced, (5, 2, 1), Scope::Recipient, true),
            (Status::Bounced, (5, 1, 1), Scope::Message, false),
            (Status::Bounced, (5, 1, 1), Scope::Session, false),
            (Status::Bounced, (5, 2, 2), Scope::Recipient, false),
            (Status::Bounced, (5, 1, 7), Scope::Recipient, false),
            (Status::Bounced, (5, 7, 1), Scope::Recipient, false),
            (Status::Bounced, (4, 1, 1), Scope::Recipient, false),
            (Status::Deferred, (5, 1, 1), Scope::Recipient, false),
            (Status::Sent, (5, 1, 1), Scope::Recipient, false),
        ];
        for (status, (class, subject, detail), scope, expected) in rows {
            let code = EnhancedStatus::new(class, subject, detail);
            let mut outcome = Outcome::new(status, code, "no");
            outcome.scope = scope;
            assert_eq!(is_hard(&outcome).is_some(), expected, "{code} {scope}");
            outcome.uncertain = true;
            assert_eq!(is_hard(&outcome), None);
        }
    }
}
