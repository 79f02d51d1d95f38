//! Reports about TLS (RFC 8460): each day, the domains that ask for them hear how TLS with their mail exchangers went.
//! The results come from the deliveries of a policy that has
//! [`with_tls_results`](smtp_policy::policy::Policy::with_tls_results).
//!
//! | step | is |
//! |---|---|
//! | [`Tally::note`] | counts the results of a worker in memory |
//! | [`Tally::flush`] | adds them to those of all workers, every few seconds |
//! | [`make_due`] | makes the reports on days that are over, every minute: one worker makes each |
//!
//! A report goes out between zero and four hours after its day, and for a day more if it cannot. By mail it is made once:
//! that it is made, and the mail itself, are one transaction. Over HTTPS it is sent once unless a worker dies between the
//! answer and the store: the report that comes again has the same `report-id`.
//!
//! What is counted is lost if a worker is killed before the next flush: a few seconds of one worker.
//!
//! | topic | key | value | number |
//! |---|---|---|---|
//! | `tlsrpt-domains DAY SLOT` | domain with results | | |
//! | `tlsrpt DAY DOMAIN` | policy, mail exchanger, result | the same in JSON, with the policy | sessions |
//! | `tlsrpt-duty DAY` | domain | who makes the report; `done`; `waits` | |
//! | `tlsrpt-tries DAY` | domain | | attempts that failed |
//! | `tlsrpt-sent DAY` | domain and receiver | | |
//! | `tlsrpt-flush` | a flush | | |

mod day;
#[cfg(feature = "dkim")]
mod dkim;
mod document;
mod duty;
mod letter;
mod outside;
mod record;
mod rounds;
mod tally;

use core::{fmt, time::Duration};
use std::sync::Arc;

use smtp_proto::Address;

use self::day::Day;
#[cfg(feature = "dkim")]
pub use self::dkim::{DkimError, DkimSigner};
pub use self::{
    duty::{Made, make_due},
    outside::Outside,
    record::{Endpoint, Receiver, receivers},
    rounds::duties,
    tally::Tally,
};
use crate::{
    model::{DestinationName, Timestamp},
    report::ReportRoute,
};

/// The time after the end of a day for which something is known about it.
const KEPT: Duration = Duration::from_secs(4 * 86_400);

fn kept_until(day: Day) -> Timestamp {
    day.end().after(KEPT)
}

/// The topic of the domains whose reports are made in a step.
fn domains_topic(day: Day, slot: u32) -> String {
    format!("tlsrpt-domains {day} {slot}")
}

/// The topic of the counts of a domain.
fn counts_topic(day: Day, domain: &str) -> String {
    format!("tlsrpt {day} {domain}")
}

/// Something that signs messages. Receivers of reports have to ignore mail without a DKIM signature of the domain that
/// reports (RFC 8460 section 3). With the feature `dkim`, `DkimSigner` is one that has the key itself.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The header field for a message, as `DKIM-Signature: …`, possibly in several lines, signed at this time. Lines end in
    /// CR LF.
    ///
    /// # Errors
    /// The reason why it cannot be signed, in words. The report is tried again later, and never goes out without.
    fn sign(&self, message: &[u8], now: Timestamp) -> Result<String, String>;
}

/// The maker of the reports, and the way they go out.
#[derive(Clone)]
#[non_exhaustive]
pub struct Reporter {
    /// The name of the organization: that of this machine.
    pub organization: String,
    /// The name of whoever reports, a domain: that of this machine.
    pub submitter: String,
    /// The address for questions about reports, in their `contact-info`: `postmaster@` and the name of this machine.
    pub contact: String,
    /// The From header field: `TLS reports <tlsrpt-noreply@` and the name of this machine.
    pub from: String,
    /// The destination of each report.
    pub route: ReportRoute,
    /// Somebody who signs mail; none: it is not signed, and receivers ignore it unless that is made up for on its way.
    pub signer: Option<Arc<dyn Signer>>,
}

impl Reporter {
    /// A reporter on a machine of this name.
    pub fn new(
        myhostname: impl Into<String>,
        route: impl Fn(&Address) -> DestinationName + Send + Sync + 'static,
    ) -> Self {
        let myhostname = myhostname.into();
        Self {
            contact: format!("postmaster@{myhostname}"),
            from: format!("TLS reports <tlsrpt-noreply@{myhostname}>"),
            organization: myhostname.clone(),
            submitter: myhostname,
            route: Arc::new(route),
            signer: None,
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("submitter", &self.submitter)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}
