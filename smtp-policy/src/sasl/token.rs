//! Access tokens (OAuth 2.0, RFC 6750) as proof of who logs in: where they come from, and when another one is
//! asked for. How they are said is in `exchange` (OAUTHBEARER, RFC 7628; XOAUTH2).
//!
//! ```
//! use smtp_policy::settings::{Credentials, Login, TokenFailure, TokenRequest};
//! use smtp_proto::Secret;
//!
//! /// Runs a program that prints a token.
//! fn token(wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
//!     let program = if wanted.refresh { "new-token" } else { "token" };
//! #   let _ = program;
//! #   let printed: std::io::Result<Vec<u8>> = Ok(b"ya29.A0".to_vec());
//!     let printed = printed.map_err(|error| TokenFailure::new(error.to_string()))?;
//!     Ok(Secret::new(printed.trim_ascii()))
//! }
//!
//! let login = Login::new(Credentials::token("me@example.com", token));
//! # assert!(!format!("{login:?}").contains("ya29"));
//!
//! // With an HTTP client that is awaited:
//! let login = Login::new(Credentials::async_token("me@example.com", |wanted: TokenRequest| async move {
//! #   let _ = wanted;
//!     // client.post(…).await
//!     Ok(Secret::new("ya29.A0"))
//! }));
//! ```

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use smtp_proto::Secret;

/// A source of access tokens that may hold up its thread: it is asked on one where that does no harm.
///
/// It is asked before each connection on which there may be a login, and keeps tokens as long as
/// it likes. When a server has refused a token, the delivery asks once more, for a
/// [new one](TokenRequest::refresh), and tries the same server again before anybody is deferred.
///
/// A closure is one.
pub trait TokenProvider: Send + Sync {
    /// The token, as it goes out behind `Bearer`.
    ///
    /// # Errors
    /// There is none. The mail is deferred where a server wants a login.
    fn token(&self, wanted: &TokenRequest) -> Result<Secret, TokenFailure>;
}

impl<F> TokenProvider for F
where
    F: Fn(&TokenRequest) -> Result<Secret, TokenFailure> + Send + Sync,
{
    fn token(&self, wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
        self(wanted)
    }
}

/// A token, or the reason why there is none, as it is awaited.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<Secret, TokenFailure>> + Send + 'a>>;

/// A source of access tokens that is awaited by the delivery, without a thread. See
/// [`TokenProvider`] for the rest.
///
/// A closure that returns a future is one.
pub trait AsyncTokenProvider: Send + Sync {
    /// The token, as it goes out behind `Bearer`. Where there is none, the mail is deferred if
    /// a server wants a login.
    fn token<'a>(&'a self, wanted: &'a TokenRequest) -> TokenFuture<'a>;
}

impl<F, R> AsyncTokenProvider for F
where
    F: Fn(TokenRequest) -> R + Send + Sync,
    R: Future<Output = Result<Secret, TokenFailure>> + Send + 'static,
{
    fn token<'a>(&'a self, wanted: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(self(wanted.clone()))
    }
}

/// The token that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequest {
    /// The user who logs in.
    pub user: String,
    /// The server, by its name.
    pub host: String,
    /// The server has just refused the last token, so that a kept one is of no use.
    pub refresh: bool,
}

impl TokenRequest {
    /// A request for any token that is valid.
    pub fn new(user: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            host: host.into(),
            refresh: false,
        }
    }
}

/// The reason why there is no token. It is shown in logs and verdicts, and must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenFailure {
    /// The reason, for a person.
    pub reason: String,
}

impl TokenFailure {
    /// There is no token for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for TokenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no access token: {}", self.reason)
    }
}

impl std::error::Error for TokenFailure {}

/// The source of the tokens of a login. Exhaustive on purpose: a driver asks each kind in a way of its
/// own. `Debug` shows nothing of it.
#[derive(Clone)]
pub enum TokenSource {
    /// It may hold up its thread.
    Blocking(Arc<dyn TokenProvider>),
    /// It is awaited.
    Async(Arc<dyn AsyncTokenProvider>),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

/// A user who logs in with tokens. `Debug` shows neither.
#[derive(Clone)]
#[non_exhaustive]
pub struct TokenLogin {
    /// The user. It must not be empty, and has no control characters.
    pub user: String,
    /// The source of the tokens.
    pub source: TokenSource,
}

impl fmt::Debug for TokenLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenLogin")
    }
}

impl TokenLogin {
    pub(crate) const fn new(user: String, source: TokenSource) -> Self {
        Self { user, source }
    }
}
