//! An account at a server, and the search for it: in tables of passwords, or at a source of
//! tokens.

use core::fmt;

use smtp_proto::secret::Secret;

use super::{
    PasswordSearch,
    token::{TokenFailure, TokenLogin, TokenRequest, TokenSource},
};
use crate::tables::{TableFailure, TableQuery};

/// A user, and the proof that it is the user. Neither is shown in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) proof: Proof,
}

/// The kind of proof, which decides who may be told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A password, or whatever the administrator has put in its place: any mechanism.
    Password,
    /// An access token: the mechanisms for those only.
    Token,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

/// The reason why the account is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// A table could not be asked.
    Table,
    /// There is no token.
    Token(TokenFailure),
}

impl From<TableFailure> for Unknown {
    fn from(_: TableFailure) -> Self {
        Self::Table
    }
}

/// The search for the account at a server. The default searches nowhere.
#[derive(Debug)]
pub(crate) enum AccountSearch {
    Passwords(PasswordSearch),
    Token(Box<TokenSearch>),
}

/// A token that is wanted.
#[derive(Debug)]
pub(crate) struct TokenSearch {
    login: TokenLogin,
    request: TokenRequest,
    found: Option<Result<Secret, TokenFailure>>,
}

impl Default for AccountSearch {
    fn default() -> Self {
        Self::Passwords(PasswordSearch::default())
    }
}

impl AccountSearch {
    /// A search for a token for this server.
    pub(crate) fn token(login: &TokenLogin, host: &str, refresh: bool) -> Self {
        let request = TokenRequest {
            refresh,
            ..TokenRequest::new(login.user.clone(), host)
        };
        Self::Token(Box::new(TokenSearch {
            login: login.clone(),
            request,
            found: None,
        }))
    }

    /// Goes on; the question about a table if there is one.
    pub(crate) fn step(&mut self) -> Option<TableQuery> {
        match self {
            Self::Passwords(search) => search.step(),
            Self::Token(_) => None,
        }
    }

    /// The answer to the question of the last [`step`](Self::step).
    pub(crate) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        if let Self::Passwords(search) = self {
            search.answered(value);
        }
    }

    /// The token to ask for, if there is one.
    pub(crate) fn wanted_token(&self) -> Option<(TokenSource, TokenRequest)> {
        match self {
            Self::Token(search) if search.found.is_none() => {
                Some((search.login.source.clone(), search.request.clone()))
            }
            _ => None,
        }
    }

    /// The token that was asked for.
    pub(crate) fn take_token(&mut self, token: Result<Secret, TokenFailure>) {
        if let Self::Token(search) = self {
            search.found = Some(token);
        }
    }

    /// The findings when there are no more questions.
    pub(crate) fn result(self) -> Result<Option<Account>, Unknown> {
        let (login, found) = match self {
            Self::Passwords(search) => return Ok(search.result()?),
            Self::Token(search) => (search.login, search.found),
        };
        let token = found.unwrap_or_else(|| Err(TokenFailure::new("nobody was asked for it")));
        let password = token.map_err(Unknown::Token)?;
        if password.is_empty() {
            let empty = TokenFailure::new("the one that was given is empty");
            return Err(Unknown::Token(empty));
        }
        Ok(Some(Account {
            user: login.user,
            password,
            proof: Proof::Token,
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::settings::Credentials;

    fn search() -> AccountSearch {
        let provider = |_: &TokenRequest| Ok(Secret::new("ya29"));
        match Credentials::token("me", provider) {
            Credentials::Token(login) => AccountSearch::token(&login, "mx.example", true),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_asked_for_until_it_is_there() {
        let mut search = search();
        assert_eq!(search.step(), None);
        let (source, request) = search.wanted_token().unwrap();
        assert_eq!(
            (&*request.user, &*request.host, request.refresh),
            ("me", "mx.example", true)
        );
        let TokenSource::Blocking(provider) = source else {
            panic!("it is awaited")
        };
        search.take_token(provider.token(&request));
        assert!(search.wanted_token().is_none());
        let account = search.result().unwrap().unwrap();
        assert_eq!(
            (account.password.expose(), account.proof),
            (&b"ya29"[..], Proof::Token)
        );
    }

    #[test]
    fn without_a_token_there_is_no_account() {
        let failure = TokenFailure::new("no network");
        for (token, reason) in [
            (Some(Err(failure)), "no network"),
            (
                Some(Ok(Secret::default())),
                "the one that was given is empty",
            ),
            (None, "nobody was asked for it"),
        ] {
            let mut search = search();
            if let Some(token) = token {
                search.take_token(token);
            }
            let unknown = Unknown::Token(TokenFailure::new(reason));
            assert_eq!(search.result().unwrap_err(), unknown);
        }
    }

    #[test]
    fn nothing_of_an_account_is_shown() {
        let mut search = search();
        search.take_token(Ok(Secret::new("ya29")));
        let shown = format!("{search:?} {:?}", search.wanted_token());
        assert!(!shown.contains("ya29"), "{shown}");
        let shown = format!("{:?}", search.result());
        assert_eq!(shown, "Ok(Some(Account))");
    }
}
