//! The part of a policy search that looks for the domain's MTA-STS policy, and what
//! it means for one server (RFC 8461 sections 4 and 5). The order in which policies
//! go before each other is in [`sts`](crate::sts).

use std::sync::Arc;

use smtp_proto::status::EnhancedStatus;

use super::{
    level::TlsLevel,
    policy::{StsRule, sts_attributes},
    result::{PolicyType, ResultType},
    search::{PolicySearch, Stage},
    story::StsStory,
};
use crate::sts::{
    FetchError, Mode, StsError,
    search::{Found, StsSearch},
};

impl PolicySearch {
    /// DANE does not govern this server: MTA-STS does, if it may.
    pub(super) fn conclude(&mut self) {
        match self.sts_search() {
            Some(search) => self.stage = Stage::Sts(Box::new(search)),
            None => self.finish(),
        }
    }

    /// The search for a policy of the domain, if it may say more than the level does.
    pub(super) fn sts_search(&self) -> Option<StsSearch> {
        let sts = self.rules.sts.as_ref()?;
        let domain = self.subject.sts_domain.as_ref()?;
        let open = match self.level {
            TlsLevel::Fingerprint | TlsLevel::DaneOnly | TlsLevel::Secure => false,
            TlsLevel::None
            | TlsLevel::May
            | TlsLevel::Encrypt
            | TlsLevel::HalfDane
            | TlsLevel::Dane
            | TlsLevel::Verify => !self.explicit,
        };
        let families = self.rules.families;
        let now = self.subject.unix_time;
        open.then(|| StsSearch::new(Arc::clone(sts), domain, families.ipv4, families.ipv6, now))
    }

    /// What there is of the domain's policy.
    pub(super) fn on_sts(&mut self, domain: String, found: Found) {
        if let Some(trouble) = &found.trouble {
            let failure = match trouble {
                StsError::Fetch(FetchError::Certificate(_)) => ResultType::StsWebPkiInvalid,
                StsError::Fetch(FetchError::TooLarge) | StsError::Invalid(_) => {
                    ResultType::StsPolicyInvalid
                }
                _ => ResultType::StsPolicyFetchError,
            };
            self.failed(PolicyType::Sts, failure);
            let instead = match &found.policy {
                Some(_) => "; the policy that is kept holds",
                None => "",
            };
            self.warnings.push(format!(
                "cannot get the MTA-STS policy of {domain}: {trouble}{instead}"
            ));
        }
        let Some(policy) = found.policy else {
            return self.finish();
        };
        let host = &self.subject.host;
        let allowed = policy.allows(host);
        let unnamed = format!("MTA-STS policy of {domain} does not name mail exchanger {host}");
        self.story.sts = Some(StsStory {
            domain: domain.clone(),
            mode: policy.mode,
            names_host: allowed,
        });
        match policy.mode {
            // RFC 8461 section 5: no mail there, but perhaps later, or elsewhere.
            Mode::Enforce if !allowed => {
                self.failed(PolicyType::Sts, ResultType::ValidationFailure);
                return self.fail(EnhancedStatus::new(4, 7, 5), unnamed);
            }
            Mode::Enforce => {
                self.level = TlsLevel::Secure;
                self.attributes = sts_attributes();
            }
            Mode::Testing if !allowed => {
                let note = format!("{unnamed}, but is in testing mode");
                self.warnings.push(note);
            }
            Mode::Testing | Mode::None => {}
        }
        self.sts = Some(StsRule {
            domain,
            policy,
            allowed,
        });
        self.finish();
    }
}
