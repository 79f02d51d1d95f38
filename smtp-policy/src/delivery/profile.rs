//! What a session with a given server is told before it begins, and the look-ups
//! by its address that this takes (`smtp_pix_workaround_maps`,
//! `smtp_discard_ehlo_keyword_address_maps`).

use std::sync::Arc;

use smtp_proto::{
    reply::{FilterFailure, KeywordSet, LineFilter, ReplyText},
    secret::Secret,
    session::{PixWorkarounds, Profile},
};

use super::{TableQuery, talking::Login};
use crate::{
    request::Request,
    sasl::AccountSearch,
    server::Server,
    settings::{PixWords, Settings, TokenFailure, TokenRequest, TokenSource},
    tables::{Maps, MapsSearch, MapsStep, Table, TableFailure},
};

/// The two look-ups by the server's address, and that of credentials by its names,
/// one after the other. Each may ask a table outside the engine.
#[derive(Debug)]
pub(super) struct AddressLookups {
    pix: Found,
    discard: Found,
    account: AccountSearch,
}

#[derive(Debug)]
enum Found {
    Searching(MapsSearch),
    Done(Result<Option<String>, TableFailure>),
}

impl Found {
    /// The search for the address of a server. There is none where there are no tables.
    fn new(maps: &Maps, server: &Server) -> Self {
        match maps.is_empty() {
            true => Self::Done(Ok(None)),
            false => Self::Searching(maps.search(&server.address())),
        }
    }

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
    pub(super) fn new(settings: &Settings, server: &Server, account: AccountSearch) -> Self {
        Self {
            pix: Found::new(&settings.hello.pix.by_address, server),
            discard: Found::new(&settings.hello.discard_by_address, server),
            account,
        }
    }

    /// Goes on; the question for the driver if there is one.
    pub(super) fn step(&mut self) -> Option<TableQuery> {
        self.pix
            .step()
            .or_else(|| self.discard.step())
            .or_else(|| self.account.step())
    }

    /// The answer to the question of the last [`step`](Self::step).
    pub(super) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        for found in [&mut self.pix, &mut self.discard] {
            if let Found::Searching(search) = found {
                search.answered(value);
                return;
            }
        }
        self.account.answered(value);
    }

    /// The token to ask for when tables are asked no more.
    pub(super) fn wanted_token(&self) -> Option<(TokenSource, TokenRequest)> {
        self.account.wanted_token()
    }

    /// The token that was asked for.
    pub(super) fn take_token(&mut self, token: Result<Secret, TokenFailure>) {
        self.account.take_token(token);
    }

    /// What is known about login when there are no more questions.
    pub(super) fn into_login(self) -> Login {
        Login::new(self.account)
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
        settings: &Settings,
        loop_detection: bool,
    ) -> Profile {
        let hello = &settings.hello;
        let discard = self.discard.result().ok().flatten();
        let pix = self.pix.result().ok().flatten();
        let mut profile = Profile::new(request.protocol, hello.name.clone());
        profile.hello = hello.choice;
        if loop_detection {
            profile.own_name = settings.identity.host.as_str().to_owned();
        }
        profile.pix = workarounds(
            pix.map_or(hello.pix.words, PixWords::parse),
            settings,
            request,
        );
        profile.discard = discard.map_or(hello.discard, KeywordSet::parse);
        profile.block_early_mail_reply = settings.tls.block_early_mail_reply;
        profile.skip_quit_response = hello.skip_quit_response;
        profile.line_length_limit = usize::try_from(settings.limits.line).unwrap_or(usize::MAX);
        profile.timeouts = settings.timeouts.session;
        profile.deadline = settings.timeouts.deadline;
        profile.reply_text = if settings.content.smtputf8 {
            ReplyText::Utf8
        } else {
            ReplyText::Ascii
        };
        let filter = settings.verdict.reply_filter.clone();
        profile.reply_filter =
            filter.map(|table| Arc::new(TableFilter(table)) as Arc<dyn LineFilter>);
        profile
    }
}

/// The delay is for mail that has waited already: the first attempt is to go fast.
fn workarounds(words: PixWords, settings: &Settings, request: &Request) -> PixWorkarounds {
    let pix = &settings.hello.pix;
    let old = request.age >= pix.threshold;
    PixWorkarounds {
        disable_esmtp: words.disable_esmtp,
        delay_dotcrlf: (words.delay_dotcrlf && old).then_some(pix.delay),
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
