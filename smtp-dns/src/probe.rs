//! Whether the name servers validate at all: the record of `dnssec_probe` is asked for
//! once, when a reply that should be validated is not (`src/dns/dns_sec.c`).

use core::sync::atomic::{AtomicBool, Ordering};

use super::{Answer, Failure, Query, QueryKind};

/// The question of `dnssec_probe`, and whether there is still reason to ask it.
#[derive(Debug, Default)]
pub struct DnssecProbe {
    /// As it is configured, for the log.
    text: String,
    question: Option<Query>,
    /// It was asked, or a validated answer was seen before.
    settled: AtomicBool,
}

impl DnssecProbe {
    /// Reads a parameter value, `type:name`; an empty one asks nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let question = match text {
            "" => None,
            _ => Some(question(text).ok_or("the format is qtype:qname")?),
        };
        Ok(Self {
            text: text.to_owned(),
            question,
            settled: AtomicBool::new(false),
        })
    }

    /// An answer was validated: there is nothing to be found out.
    pub fn saw_validated(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// An answer was not validated. The question, if it is to be asked now: it is given
    /// out once.
    pub fn saw_unvalidated(&self) -> Option<Query> {
        let question = self.question.as_ref()?;
        let settled = self.settled.swap(true, Ordering::Relaxed);
        (!settled).then(|| question.clone())
    }

    /// What the answer to the question means, as warnings.
    pub fn judge(&self, answer: &Result<Answer, Failure>) -> Vec<String> {
        let text = &self.text;
        let reason = match (answer, &self.question) {
            (Ok(answer), _) if answer.validated => return Vec::new(),
            (Err(failure), Some(query)) if !is_reply(failure) => {
                let why = failure.reason(&query.name, query.kind);
                format!("received no response: {why}")
            }
            _ => "received a response that is not DNSSEC validated".to_owned(),
        };
        vec![
            "DNSSEC validation may be unavailable".into(),
            format!("reason: dnssec_probe '{text}' {reason}"),
        ]
    }
}

/// Whether the servers said something, if only that there is nothing.
fn is_reply(failure: &Failure) -> bool {
    !matches!(
        failure.at("").0,
        Failure::TryAgain | Failure::NonRecoverable
    )
}

fn question(text: &str) -> Option<Query> {
    let (kind, name) = text.split_once(':')?;
    let kind = QueryKind::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(kind))?;
    (!name.is_empty()).then(|| Query {
        validate: true,
        ..Query::new(name, kind)
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_type_and_a_name() {
        let table = [
            ("ns:.", Some((QueryKind::Ns, "."))),
            ("MX:example.com", Some((QueryKind::Mx, "example.com"))),
            ("ns:", None),
            ("ns", None),
            (":.", None),
            ("nonsense:.", None),
            ("native:.", None),
        ];
        for (text, expected) in table {
            let found = DnssecProbe::parse(text).map(|probe| probe.question.unwrap());
            let found = found.ok().map(|query| (query.kind, query.name));
            let expected = expected.map(|(kind, name)| (kind, name.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_question_is_asked_once_and_not_after_a_validated_answer() {
        let probe = DnssecProbe::parse("ns:.").unwrap();
        assert!(probe.saw_unvalidated().is_some_and(|query| query.validate));
        assert_eq!(probe.saw_unvalidated(), None);
        let probe = DnssecProbe::parse("ns:.").unwrap();
        probe.saw_validated();
        assert_eq!(probe.saw_unvalidated(), None);
        assert_eq!(DnssecProbe::parse("").unwrap().saw_unvalidated(), None);
    }

    #[test]
    fn only_a_validated_answer_is_good() {
        let probe = DnssecProbe::parse("ns:.").unwrap();
        let answer = |validated| Answer {
            validated,
            ..Answer::default()
        };
        assert!(probe.judge(&Ok(answer(true))).is_empty());
        let unvalidated =
            "reason: dnssec_probe 'ns:.' received a response that is not DNSSEC validated";
        for answer in [
            Ok(answer(false)),
            Err(Failure::NotFound),
            Err(Failure::NoData),
        ] {
            let warnings = probe.judge(&answer);
            assert_eq!(
                warnings,
                ["DNSSEC validation may be unavailable", unvalidated]
            );
        }
        let warnings = probe.judge(&Err(Failure::TryAgain));
        assert_eq!(
            warnings[1],
            "reason: dnssec_probe 'ns:.' received no response: Host or domain name not found. \
             Name service error for name=. type=NS: Host not found, try again"
        );
    }
}
