//! Counts and times for the `metrics` facade: what a mailer tells a recorder, if the program has
//! installed one.
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `outpost_recipients_total` | counter | `status`: `sent`, `deferred`, `bounced`; `uncertain`: `true`, `false` | verdicts |
//! | `outpost_connections_total` | counter | `kind`: `new`, `kept`, `failed` | connections that were made, taken from those that were kept, or not to be had |
//! | `outpost_tls_handshakes_total` | counter | `version`, `trust`: `Verified`, `Trusted`, `Untrusted`, `Anonymous` | handshakes that succeeded |
//! | `outpost_tls_failures_total` | counter | | handshakes that failed, and certificates that were not good enough |
//! | `outpost_delay_seconds` | histogram | `stage`: `queue`, `setup`, `connection`, `transmission` | the four times of each verdict, as Postfix logs them in `delays=` |
//!
//! ```no_run
//! use outpost::Mailer;
//!
//! outpost::metrics::describe();
//! let mailer = Mailer::direct("mail.example.org").build()?;
//! # Ok::<(), outpost::BuildError>(())
//! ```

use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use smtp_policy::{
    delivery::Observer,
    event::{Event, Note},
    report::Outcome,
    request::{RcptIndex, Recipient},
};

const RECIPIENTS: &str = "outpost_recipients_total";
const CONNECTIONS: &str = "outpost_connections_total";
const HANDSHAKES: &str = "outpost_tls_handshakes_total";
const FAILURES: &str = "outpost_tls_failures_total";
const DELAY: &str = "outpost_delay_seconds";

/// Describes all metrics to the recorder. To be called once it is installed.
pub fn describe() {
    describe_counter!(RECIPIENTS, Unit::Count, "Recipients by verdict");
    describe_counter!(CONNECTIONS, Unit::Count, "Connections by origin");
    describe_counter!(HANDSHAKES, Unit::Count, "TLS handshakes that succeeded");
    describe_counter!(FAILURES, Unit::Count, "TLS that could not be used");
    describe_histogram!(DELAY, Unit::Seconds, "Time of a recipient by stage");
}

/// An observer that counts, and passes everything on. Mailers have one by themselves; it is for those
/// who deliver with a client of one of the runtimes.
#[derive(Clone, Debug, Default)]
pub struct Metered<O>(pub O);

impl<O: Observer> Observer for Metered<O> {
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        let uncertain = if outcome.uncertain { "true" } else { "false" };
        let status = outcome.status.as_str();
        counter!(RECIPIENTS, "status" => status, "uncertain" => uncertain).increment(1);
        let times = &outcome.times;
        for (stage, time) in [
            ("queue", times.queue),
            ("setup", times.setup),
            ("connection", times.connection),
            ("transmission", times.transmission),
        ] {
            histogram!(DELAY, "stage" => stage).record(time);
        }
        self.0.settled(index, recipient, outcome);
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        self.0.in_doubt(recipients);
    }

    fn note(&mut self, note: &Note) {
        match &note.event {
            Event::Connected { .. } => counter!(CONNECTIONS, "kind" => "new").increment(1),
            Event::Reused { .. } => counter!(CONNECTIONS, "kind" => "kept").increment(1),
            Event::ConnectFailed { .. } => counter!(CONNECTIONS, "kind" => "failed").increment(1),
            Event::TlsEstablished { tls, .. } => {
                let trust = tls.trust.as_str();
                counter!(HANDSHAKES, "version" => tls.version, "trust" => trust).increment(1);
            }
            Event::HandshakeFailed { .. } | Event::CertificateProblem { .. } => {
                counter!(FAILURES).increment(1);
            }
            _ => {}
        }
        self.0.note(note);
    }

    fn progress(&mut self, text_bytes: u64) {
        self.0.progress(text_bytes);
    }
}
