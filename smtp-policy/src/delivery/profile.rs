//! What a session with a given server is told before it begins, and the look-ups
//! by its address that this takes (`smtp_pix_workaround_maps`,
//! `smtp_discard_ehlo_keyword_address_maps`).

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::{
    command::HelloName,
    reply::{FilterFailure, KeywordSet, LineFilter, ReplyText},
    session::{DeadlineRule, Dialect, HelloChoice, PixWorkarounds, Profile, Timeouts},
};

use super::{TableQuery, talking::Login};
use crate::{
    config::{Config, Protocol},
    request::Request,
    sasl::PasswordSearch,
    tables::{MapsSearch, MapsStep, Table, TableFailure, Tables},
};

/// The two look-ups by the server's address, and that of credentials by its names,
/// one after the other. Each may ask a table outside the engine.
#[derive(Debug)]
pub(super) struct AddressLookups {
    pix: Found,
    discard: Found,
    passwords: PasswordSearch,
}

#[derive(Debug)]
enum Found {
    Searching(MapsSearch),
    Done(Result<Option<String>, TableFailure>),
}

impl Found {
    /// The question for the driver, if the search needs one.
    fn step(&mut self) -> Option<TableQuery> {
        let Self::Searching(search) = self else {
            return None;
        };
        match search.next() {
            MapsStep::Ask { table, key } => Some(TableQuery { table, key }),
            MapsStep::Done(result) => {
                *self = Self::Done(result);
                None
            }
        }
    }

    fn result(&self) -> Result<Option<&str>, &TableFailure> {
        match self {
            Self::Searching(_) => Ok(None),
            Self::Done(result) => result.as_ref().map(Option::as_deref),
        }
    }
}

impl AddressLookups {
    pub(super) fn new(tables: &Tables, address: &str, passwords: PasswordSearch) -> Self {
        Self {
            pix: Found::Searching(tables.pix.search(address)),
            discard: Found::Searching(tables.discard_ehlo.search(address)),
            passwords,
        }
    }

    /// Goes on; the question for the driver if there is one.
    pub(super) fn step(&mut self) -> Option<TableQuery> {
        self.pix
            .step()
            .or_else(|| self.discard.step())
            .or_else(|| self.passwords.step())
    }

    /// The answer to the question of the last [`step`](Self::step).
    pub(super) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        for found in [&mut self.pix, &mut self.discard] {
            if let Found::Searching(search) = found {
                search.answered(value);
                return;
            }
        }
        self.passwords.answered(value);
    }

    /// What is known about login when there are no more questions.
    pub(super) fn into_login(self) -> Login {
        Login::new(self.passwords)
    }

    /// Why the keywords to discard are not known. This ends the session once the
    /// server has announced any.
    pub(super) fn failure(&self) -> Option<TableFailure> {
        self.discard.result().err().cloned()
    }

    /// What the session is told. A failed PIX look-up counts as not found, as in
    /// Postfix.
    pub(super) fn profile(
        &self,
        request: &Request,
        config: &Config,
        tables: &Tables,
        loop_detection: bool,
    ) -> Result<Profile, TableFailure> {
        let discard = self
            .discard
            .result()
            .ok()
            .flatten()
            .unwrap_or(&config.helo.discard_ehlo_keywords);
        let pix = self
            .pix
            .result()
            .ok()
            .flatten()
            .unwrap_or(&config.helo.pix_workarounds);

        let dialect = match request.protocol {
            Protocol::Smtp => Dialect::Smtp,
            Protocol::Lmtp => Dialect::Lmtp,
        };
        let name = HelloName::parse(&config.helo.helo_name).map_err(|error| TableFailure {
            table: match config.protocol {
                Protocol::Smtp => "smtp_helo_name".into(),
                Protocol::Lmtp => "lmtp_lhlo_name".into(),
            },
            reason: error.to_string(),
        })?;
        let mut profile = Profile::new(dialect, name);
        profile.hello = match (config.helo.never_send_ehlo, config.helo.always_send_ehlo) {
            (true, _) => HelloChoice::Helo,
            (false, true) => HelloChoice::Ehlo,
            (false, false) => HelloChoice::AsGreeted,
        };
        if loop_detection {
            profile.own_name.clone_from(&config.general.myhostname);
        }
        profile.pix = pix_workarounds(pix, config, request.age);
        profile.discard = KeywordSet::parse(discard);
        profile.block_early_mail_reply = config.tls.tls_block_early_mail_reply;
        profile.skip_quit_response = config.helo.skip_quit_response;
        profile.line_length_limit =
            usize::try_from(config.content.line_length_limit).unwrap_or(usize::MAX);
        profile.timeouts = timeouts(config);
        profile.deadline = if *config.timeout.per_request_deadline {
            DeadlineRule::PerRequest {
                min_data_rate: config.timeout.min_data_rate,
            }
        } else {
            DeadlineRule::PerOperation
        };
        profile.reply_text = if *config.general.smtputf8_enable {
            ReplyText::Utf8
        } else {
            ReplyText::Ascii
        };
        profile.reply_filter = tables
            .reply_filter
            .clone()
            .map(|table| Arc::new(TableFilter(table)) as Arc<dyn LineFilter>);
        Ok(profile)
    }
}

/// The words of `smtp_pix_workarounds`. The delay is for mail that has waited
/// already: the first attempt is to go fast.
fn pix_workarounds(words: &str, config: &Config, age: Duration) -> PixWorkarounds {
    let has = |name: &str| {
        words
            .split([',', ' ', '\t', '\n'])
            .any(|word| word.eq_ignore_ascii_case(name))
    };
    let old = age >= config.helo.pix_workaround_threshold_time;
    PixWorkarounds {
        disable_esmtp: has("disable_esmtp"),
        delay_dotcrlf: (has("delay_dotcrlf") && old)
            .then_some(config.helo.pix_workaround_delay_time),
    }
}

fn timeouts(config: &Config) -> Timeouts {
    let timeout = &config.timeout;
    Timeouts {
        helo: timeout.helo_timeout,
        starttls: timeout.starttls_timeout,
        xforward: timeout.xforward_timeout,
        mail: timeout.mail_timeout,
        rcpt: timeout.rcpt_timeout,
        data_init: timeout.data_init_timeout,
        data_xfer: timeout.data_xfer_timeout,
        data_done: timeout.data_done_timeout,
        rset: timeout.rset_timeout,
        quit: timeout.quit_timeout,
    }
}

/// `smtp_reply_filter`: a table as a filter of reply lines.
#[derive(Debug)]
struct TableFilter(Arc<dyn Table>);

impl LineFilter for TableFilter {
    fn filter(&self, line: &str) -> Result<Option<String>, FilterFailure> {
        self.0.lookup(line).map_err(|_| FilterFailure)
    }
}
