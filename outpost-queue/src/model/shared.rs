//! The things that workers share besides the mail.

use super::Timestamp;

/// A thing that all workers know: a policy, a failed login, an address that gets no mail, a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its kind.
    pub topic: String,
    /// Its name among those of its kind.
    pub key: String,
    /// Its text; may be empty.
    pub value: String,
    /// Its number: a count, or zero.
    pub number: i64,
    /// From when on it is as if it were not there; [`Timestamp::NEVER`]: it stays.
    pub until: Timestamp,
}
