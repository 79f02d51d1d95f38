//! What a mechanism says: an initial response, and a response to each challenge,
//! both without their base64.

use core::fmt;

use hmac::{Hmac, Mac};
use md5::Md5;
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    mechanisms::{anonymous::AnonymousToken, scram::properties::Iterations},
    prelude::{Mechname, SASLClient, SASLConfig, Session, SessionError, State},
    property::{AuthId, AuthzId, OAuthBearerKV, OAuthBearerToken, Password},
};
use sha2::{Digest, Sha256};
use smtp_proto::secret::Secret;

use super::{Credentials, Party, Refusal, auth_cache::Fingerprint, mechanism::Mechanism};

/// How many rounds of hashing a server may ask for in SCRAM. Fewer are no
/// protection (RFC 7677 section 4), more would stop this client for a while. The
/// limits are those of Cyrus SASL.
const ITERATIONS: core::ops::RangeInclusive<u32> = 4096..=65_536;

/// The longest challenge of CRAM-MD5 in bytes, as in Cyrus SASL.
const CRAM_LIMIT: usize = 1024;

/// An exchange that has begun.
pub(crate) struct Exchange {
    mechanism: Mechanism,
    state: Next,
}

/// What the mechanism waits for.
enum Next {
    /// A challenge for rsasl.
    Rsasl(Box<Session>),
    /// The challenge of CRAM-MD5.
    CramMd5(Credentials),
    /// A report of what is wrong with the token, which is acknowledged; the
    /// verdict follows (RFC 7628 section 3.2.3).
    TokenError(&'static [u8]),
    /// Nothing, all was said.
    Nothing,
}

impl Exchange {
    /// Begins an exchange. Where the mechanism leaves the first word to the server,
    /// there is no initial response.
    pub(crate) fn begin(
        mechanism: Mechanism,
        party: &Party<'_>,
    ) -> Result<(Self, Option<Secret>), Refusal> {
        let credentials = party.credentials;
        let (state, initial) = match mechanism {
            Mechanism::Plain => (Next::Nothing, Some(plain(party)?)),
            Mechanism::CramMd5 => (Next::CramMd5(credentials.clone()), None),
            Mechanism::Login => (Next::Rsasl(start(mechanism, party)?), None),
            // Without an identity that the server can know from elsewhere there is
            // nothing to refer to.
            Mechanism::External if !party.has_certificate => return Err(Refusal::Protocol),
            Mechanism::External | Mechanism::Anonymous => (
                Next::Nothing,
                Some(step(&mut *start(mechanism, party)?, None)?.0),
            ),
            Mechanism::OAuthBearer => (
                Next::TokenError(b"\x01"),
                Some(step(&mut *start(mechanism, party)?, None)?.0),
            ),
            Mechanism::XOAuth2 => (
                Next::TokenError(b""),
                Some(step(&mut *start(mechanism, party)?, None)?.0),
            ),
            Mechanism::ScramSha1 | Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                let mut session = start(mechanism, party)?;
                let (initial, _) = step(&mut session, None)?;
                (Next::Rsasl(session), Some(initial))
            }
        };
        Ok((Self { mechanism, state }, initial))
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The response to a challenge. After a refusal the exchange is over.
    pub(crate) fn step(&mut self, challenge: &[u8]) -> Result<Secret, Refusal> {
        match core::mem::replace(&mut self.state, Next::Nothing) {
            Next::Rsasl(mut session) => {
                let (response, over) = step(&mut session, Some(challenge))?;
                if !over {
                    self.state = Next::Rsasl(session);
                }
                Ok(response)
            }
            Next::CramMd5(credentials) => cram_md5(&credentials, challenge),
            Next::TokenError(acknowledgement) => Ok(Secret::new(acknowledgement)),
            Next::Nothing => Err(Refusal::Failure),
        }
    }

    /// Whether the server has shown that it knows the password.
    pub(crate) fn knows_server(&self) -> bool {
        use Mechanism::{ScramSha1, ScramSha256, ScramSha512};
        matches!(self.mechanism, ScramSha1 | ScramSha256 | ScramSha512)
            && matches!(self.state, Next::Nothing)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

/// A digest that stands for the password of a user.
pub(crate) fn fingerprint(user: &str, password: &[u8]) -> Fingerprint {
    Sha256::new()
        .chain_update(user)
        .chain_update([0])
        .chain_update(password)
        .finalize()
        .into()
}

/// RFC 4616. The password may be empty.
fn plain(party: &Party<'_>) -> Result<Secret, Refusal> {
    let Credentials { user, password } = party.credentials;
    if user.contains('\0') || password.expose().contains(&0) {
        return Err(Refusal::Failure);
    }
    let authzid = if party.authzid { user.as_str() } else { "" };
    let parts = [authzid.as_bytes(), user.as_bytes(), password.expose()];
    Ok(Secret::new(parts.join(&0)))
}

/// RFC 2195.
fn cram_md5(credentials: &Credentials, challenge: &[u8]) -> Result<Secret, Refusal> {
    if challenge.len() > CRAM_LIMIT {
        return Err(Refusal::Protocol);
    }
    let mac = Hmac::<Md5>::new_from_slice(credentials.password.expose());
    let digest = mac
        .map_err(|_| Refusal::Failure)?
        .chain_update(challenge)
        .finalize()
        .into_bytes();
    Ok(Secret::new(format!("{} {digest:x}", credentials.user)))
}

fn start(mechanism: Mechanism, party: &Party<'_>) -> Result<Box<Session>, Refusal> {
    let config = SASLConfig::builder()
        .with_default_mechanisms()
        .with_callback(Answers::new(mechanism, party))
        .map_err(|_| Refusal::Failure)?;
    let name = Mechname::parse(mechanism.as_str().as_bytes()).map_err(|_| Refusal::Failure)?;
    let session = SASLClient::new(config)
        .start_suggested(&[name])
        .map_err(|_| Refusal::NoMechanism)?;
    Ok(Box::new(session))
}

/// One step of rsasl: the response, and whether all was said.
fn step(session: &mut Session, challenge: Option<&[u8]>) -> Result<(Secret, bool), Refusal> {
    let mut response = Vec::new();
    match session.step(challenge, &mut response) {
        Ok(state) => Ok((Secret::new(response), matches!(state, State::Finished(_)))),
        Err(SessionError::MutualAuthenticationFailed) => Err(Refusal::Server),
        Err(SessionError::MechanismDone) => Err(Refusal::Failure),
        Err(_) => Err(Refusal::Protocol),
    }
}

/// The answers to what rsasl asks.
struct Answers {
    credentials: Credentials,
    authzid: bool,
    host: String,
    port: String,
    trace: String,
}

impl Answers {
    fn new(mechanism: Mechanism, party: &Party<'_>) -> Self {
        Self {
            credentials: party.credentials.clone(),
            // In OAUTHBEARER it is the only place for the user (RFC 7628 section 3.1).
            authzid: party.authzid || mechanism == Mechanism::OAuthBearer,
            host: party.host.to_owned(),
            port: party.port.map(|port| port.to_string()).unwrap_or_default(),
            trace: format!("anonymous@{}", party.own_name),
        }
    }
}

impl SessionCallback for Answers {
    fn callback(
        &self,
        _: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let Credentials { user, password } = &self.credentials;
        if self.authzid {
            request.satisfy::<AuthzId>(user)?;
        }
        request
            .satisfy::<AuthId>(user)?
            .satisfy::<AnonymousToken>(&self.trace)?;
        let iterations = context.get_ref::<Iterations>();
        if iterations.is_none_or(|iterations| ITERATIONS.contains(iterations)) {
            request.satisfy::<Password>(password.expose())?;
        }
        let token = core::str::from_utf8(password.expose()).unwrap_or_default();
        request.satisfy::<OAuthBearerToken>(token)?;
        let place = [("host", self.host.as_str()), ("port", self.port.as_str())];
        let known = if self.port.is_empty() {
            place.get(..1)
        } else {
            place.get(..)
        };
        request.satisfy::<OAuthBearerKV>(known.unwrap_or_default())?;
        Ok(())
    }
}
