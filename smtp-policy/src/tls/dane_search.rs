//! The part of a policy search that looks for TLSA records: whether DANE can be had
//! at all, at which name, and what follows from what is found
//! (`src/smtp/smtp_tls_policy.c`, dane_init; `src/tls/tls_dane.c`,
//! tls_dane_resolve).

use std::sync::Arc;

use smtp_proto::status::EnhancedStatus;

use super::{
    Tlsa, dane,
    level::TlsLevel,
    policy::DaneFinding,
    result::{PolicyType, ResultType},
    search::{PolicySearch, Stage, Subject},
    story::TlsaAnswer,
};
use crate::dns::{Answer, Failure, QueryKind, names::is_same_name};

impl PolicySearch {
    /// Looks whether DANE can be had here at all.
    pub(super) fn begin_dane(&mut self) {
        let (dane, level) = (&self.rules.dane, self.level);
        let place = &self.subject.destination;
        if self.subject.port.is_none() {
            self.warnings.push(format!(
                "{place}: the \"dane\" security level is invalid for delivery via unix-domain sockets"
            ));
            return self.misconfigured();
        }
        let mistake = if dane.digests.is_empty() {
            Some(format!(
                "{place}: {level} configured, but no requisite library support"
            ))
        } else if !dane.dnssec {
            Some(format!(
                "{place}: {level} configured with dnssec lookups disabled"
            ))
        } else if dane.ignores_mx_errors {
            Some(format!(
                "{place}: {level} configured with MX lookup errors ignored"
            ))
        } else if dane.completes_names {
            Some(format!(
                "{place}: dns resolver options incompatible with {level} TLS"
            ))
        } else {
            None
        };
        if let Some(mistake) = mistake {
            self.story.obstacle(&mistake);
            self.warnings.push(mistake);
            return match level {
                TlsLevel::DaneOnly => self.misconfigured(),
                _ => self.settle_for(TlsLevel::May),
            };
        }
        let insecure = self.exchange_is_insecure();
        if insecure && (level == TlsLevel::DaneOnly || dane.insecure_mx <= TlsLevel::May) {
            return self.without_dane("non DNSSEC destination", TlsLevel::May);
        }
        self.begin_records();
    }

    fn exchange_is_insecure(&self) -> bool {
        self.subject
            .exchange
            .as_ref()
            .is_some_and(|exchange| !exchange.validated)
    }

    fn settle_for(&mut self, level: TlsLevel) {
        self.level = level;
        self.finding = DaneFinding::default();
        self.conclude();
    }

    /// The destination has no DANE: less for `dane`, nothing for `dane-only`.
    fn without_dane(&mut self, why: &str, instead: TlsLevel) {
        self.story.obstacle(why);
        if self.level == TlsLevel::DaneOnly {
            self.failed(PolicyType::Tlsa, ResultType::DaneRequired);
            self.fail(EnhancedStatus::new(4, 7, 5), why);
        } else {
            self.settle_for(instead);
        }
    }

    /// The TLSA base domain: the canonical name of a host whose address is
    /// validated, else, where there is reason to hope for signatures, the name that
    /// was asked.
    fn begin_records(&mut self) {
        let subject = &self.subject;
        let alias = !is_same_name(&subject.canonical, &subject.asked);
        self.stage = if subject.validated {
            let fallback = alias.then(|| Arc::clone(&subject.asked));
            Stage::Records {
                base: Arc::clone(&subject.canonical),
                fallback,
            }
        } else if self.rules.dane.force {
            Stage::Records {
                base: Arc::clone(&subject.asked),
                fallback: None,
            }
        } else if alias {
            Stage::Alias
        } else {
            return self.without_dane("no TLSA records found", TlsLevel::May);
        };
    }

    /// Whether the alias itself is signed, though what it leads to is not.
    pub(super) fn on_alias(&mut self, answer: Result<Answer, Failure>) {
        let asked = Arc::clone(&self.subject.asked);
        match answer {
            Ok(answer) if is_signed(&answer) => {
                self.stage = Stage::Records {
                    base: asked,
                    fallback: None,
                };
            }
            Ok(_) => self.without_dane("no TLSA records found", TlsLevel::May),
            Err(failure) => {
                let why = match is_absent(&failure) {
                    true => "no longer a CNAME".to_owned(),
                    false => failure.reason(&asked, QueryKind::Cname),
                };
                self.warnings
                    .push(format!("DNSSEC status lookup error for {asked}: {why}"));
                self.records_failed();
            }
        }
    }

    fn records_failed(&mut self) {
        self.failed(PolicyType::Tlsa, ResultType::DnssecInvalid);
        let Subject { host, port, .. } = &self.subject;
        let text = format!("TLSA lookup error for {host}:{}", port.unwrap_or_default());
        self.fail(EnhancedStatus::new(4, 7, 5), text);
    }

    pub(super) fn on_records(
        &mut self,
        base: Arc<str>,
        fallback: Option<Arc<str>>,
        answer: Result<Answer, Failure>,
    ) {
        let name = format!("_{}._tcp.{base}", self.subject.port.unwrap_or_default());
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if is_absent(&failure) => Answer::default(),
            Err(failure) => {
                let why = failure.reason(&name, QueryKind::Tlsa);
                self.story.looked_up(name, TlsaAnswer::Failed(why.clone()));
                self.warnings
                    .push(format!("DANE TLSA lookup problem: {why}"));
                return self.records_failed();
            }
        };
        self.story.looked_up(name, found(&answer));
        // Records that nobody signed are as good as none.
        if answer.records.is_empty() || !is_signed(&answer) {
            return match fallback {
                Some(base) => {
                    self.stage = Stage::Records {
                        base,
                        fallback: None,
                    }
                }
                None => self.without_dane("no TLSA records found", TlsLevel::May),
            };
        }
        let records = dane::for_mail(&answer.records, &mut self.warnings);
        if records.is_empty() {
            self.failed(PolicyType::Tlsa, ResultType::TlsaInvalid);
            return self.without_dane("TLSA records unusable", TlsLevel::Encrypt);
        }
        if self.sts_search().is_some() && self.has_no_usable(&records) {
            self.failed(PolicyType::Tlsa, ResultType::TlsaInvalid);
            return self.without_dane("TLSA records unusable", TlsLevel::Encrypt);
        }
        if self.exchange_is_insecure() {
            if self.rules.dane.insecure_mx == TlsLevel::Encrypt {
                self.story.obstacle("non DNSSEC destination");
                return self.settle_for(TlsLevel::Encrypt);
            }
            self.level = TlsLevel::HalfDane;
        }
        self.finding = DaneFinding {
            records,
            names: self.reference_names(&base),
        };
        self.finish();
    }

    /// Whether the records turn out to be unusable in the handshake. MTA-STS, where
    /// there is a policy, takes their place.
    fn has_no_usable(&self, records: &[Tlsa]) -> bool {
        let digests = &self.rules.dane.digests;
        dane::usable(records, digests, &self.subject.host, &mut Vec::new()).is_empty()
    }

    /// The names that a certificate may have whose issuer a record vouches for.
    fn reference_names(&self, base: &str) -> Vec<String> {
        let mut names = vec![base.to_owned()];
        if let Some(exchange) = &self.subject.exchange {
            names.push(exchange.owner.clone());
            if exchange.asked != exchange.owner {
                names.push(exchange.asked.clone());
            }
        }
        names
    }
}

fn found(answer: &Answer) -> TlsaAnswer {
    let records = dane::all(&answer.records);
    match (records.is_empty(), is_signed(answer)) {
        (true, _) => TlsaAnswer::Absent,
        (false, true) => TlsaAnswer::Signed(records),
        (false, false) => TlsaAnswer::Unsigned(records),
    }
}

fn is_signed(answer: &Answer) -> bool {
    answer
        .records
        .first()
        .map_or(answer.validated, |record| record.validated)
}

fn is_absent(failure: &Failure) -> bool {
    let (inner, _) = failure.at("");
    matches!(
        inner,
        Failure::NotFound
            | Failure::NoData
            | Failure::InvalidName
            | Failure::Unexpected
            | Failure::Loop
    )
}
