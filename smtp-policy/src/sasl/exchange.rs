//! The client's side of a mechanism: an initial response, and a response to each challenge,
//! both without their base64.

use core::fmt;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};
use smtp_proto::secret::Secret;

use super::{
    Account, Party, Refusal,
    auth_cache::Fingerprint,
    mechanism::Mechanism,
    scram::{Hash, Scram, ServerProof},
};

/// The longest challenge of CRAM-MD5 in bytes, as in Cyrus SASL.
const CRAM_LIMIT: usize = 1024;

/// An exchange that has begun.
pub(crate) struct Exchange {
    mechanism: Mechanism,
    next: Next,
    knows_server: bool,
    refuses_token: bool,
}

/// The response to the next challenge, whatever that is unless something else is
/// noted.
enum Next {
    /// LOGIN: the user, then the password.
    User(Account),
    Password(Secret),
    /// CRAM-MD5: the digest of the challenge.
    Digest(Account),
    /// SCRAM: the proof; then the server's proof is checked.
    Proof(Box<Scram>),
    ServerProof(ServerProof),
    /// The acknowledgement that the token is no good; the verdict follows (RFC 7628
    /// section 3.2.3).
    TokenError(&'static [u8]),
    /// Nothing: all was said.
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
        let (next, initial) = match mechanism {
            Mechanism::Plain => (Next::Nothing, Some(plain(party)?)),
            Mechanism::Login => (Next::User(credentials.clone()), None),
            Mechanism::CramMd5 => (Next::Digest(credentials.clone()), None),
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => begin_scram(Hash::Sha1, party)?,
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                begin_scram(Hash::Sha256, party)?
            }
            Mechanism::ScramSha512 | Mechanism::ScramSha512Plus => {
                begin_scram(Hash::Sha512, party)?
            }
            // Without an identity that the server can know from elsewhere there is
            // nothing to refer to.
            Mechanism::External if !party.has_certificate => return Err(Refusal::NoMechanism),
            Mechanism::External => (Next::Nothing, Some(Secret::new(party.authzid()?))),
            Mechanism::Anonymous => {
                let trace = format!("anonymous@{}", party.own_name);
                (Next::Nothing, Some(Secret::new(trace)))
            }
            Mechanism::OAuthBearer => (Next::TokenError(b"\x01"), Some(oauthbearer(party)?)),
            Mechanism::XOAuth2 => (Next::TokenError(b""), Some(xoauth2(credentials)?)),
        };
        let exchange = Self {
            mechanism,
            next,
            knows_server: false,
            refuses_token: false,
        };
        Ok((exchange, initial))
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The response to a challenge. After a refusal the exchange is over.
    pub(crate) fn step(&mut self, challenge: &[u8]) -> Result<Secret, Refusal> {
        match core::mem::replace(&mut self.next, Next::Nothing) {
            Next::User(Account { user, password, .. }) => {
                let user = canonical(&user)?;
                self.next = Next::Password(password);
                Ok(Secret::new(user))
            }
            Next::Password(password) => Ok(password),
            Next::Digest(credentials) => cram_md5(&credentials, challenge),
            Next::Proof(scram) => {
                let (proof, response) = scram.prove(challenge)?;
                self.next = Next::ServerProof(proof);
                Ok(response)
            }
            Next::ServerProof(proof) => {
                proof.check(challenge)?;
                self.knows_server = true;
                Ok(Secret::default())
            }
            Next::TokenError(acknowledgement) => {
                self.refuses_token = true;
                Ok(Secret::new(acknowledgement))
            }
            Next::Nothing => Err(Refusal::Failure),
        }
    }

    /// Returns whether the server has refused the token.
    pub(crate) fn refuses_token(&self) -> bool {
        self.refuses_token
    }

    /// Returns whether the server has shown that it knows the password.
    pub(crate) fn knows_server(&self) -> bool {
        self.knows_server
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Party<'_> {
    /// The identity to act as; empty for that of the user.
    fn authzid(&self) -> Result<&str, Refusal> {
        match self.authzid {
            true => canonical(&self.credentials.user),
            false => Ok(""),
        }
    }
}

/// A user name without the blanks around it; an empty one is refused. As Cyrus SASL does
/// it (`lib/canonusr.c`), one with as many blanks in front as characters behind them
/// counts as empty, and one of blanks alone does not.
fn canonical(user: &str) -> Result<&str, Refusal> {
    let blank = |c: char| matches!(c, '\t'..='\r' | ' ');
    let rest = user.trim_start_matches(blank);
    let blanks = user.len() - rest.len();
    let name = rest.trim_end_matches(blank);
    match name.len() == blanks {
        true => Err(Refusal::Failure),
        false => Ok(name),
    }
}

/// A digest that stands for the password of a user.
pub(crate) fn fingerprint(user: &str, password: &[u8]) -> Fingerprint {
    let hash = Sha256::new().chain_update(user).chain_update([0]);
    hash.chain_update(password).finalize().into()
}

/// RFC 4616. The password may be empty.
fn plain(party: &Party<'_>) -> Result<Secret, Refusal> {
    let Account { user, password, .. } = party.credentials;
    let parts = [
        party.authzid()?.as_bytes(),
        canonical(user)?.as_bytes(),
        password.expose(),
    ];
    if parts.iter().any(|part| part.contains(&0)) {
        return Err(Refusal::Failure);
    }
    Ok(Secret::new(parts.join(&0)))
}

/// RFC 2195.
fn cram_md5(credentials: &Account, challenge: &[u8]) -> Result<Secret, Refusal> {
    if challenge.len() > CRAM_LIMIT {
        return Err(Refusal::Protocol);
    }
    let user = canonical(&credentials.user)?;
    let mac = Hmac::<Md5>::new_from_slice(credentials.password.expose());
    let mac = mac.map_err(|_| Refusal::Failure)?.chain_update(challenge);
    let digest = Bytes::copy_from_slice(&mac.finalize().into_bytes());
    Ok(Secret::new(format!("{user} {digest:x}")))
}

fn begin_scram(hash: Hash, party: &Party<'_>) -> Result<(Next, Option<Secret>), Refusal> {
    let credentials = Account {
        user: canonical(&party.credentials.user)?.to_owned(),
        password: party.credentials.password.clone(),
        proof: party.credentials.proof,
    };
    let (authzid, binding) = (party.authzid, &party.binding);
    let (scram, first) = Scram::begin(hash, &credentials, authzid, binding, nonce(party));
    Ok((Next::Proof(Box::new(scram)), Some(first)))
}

/// A number used once, as unforeseeable as the seed. The server gets to see it, so
/// that nothing else that is made from the seed may follow from it.
fn nonce(party: &Party<'_>) -> String {
    let hash = Sha256::new()
        .chain_update(b"SCRAM")
        .chain_update(party.seed.to_be_bytes())
        .chain_update(party.host)
        .finalize();
    BASE64_STANDARD_NO_PAD.encode(hash)
}

/// RFC 7628 section 3.1. The password is the token.
fn oauthbearer(party: &Party<'_>) -> Result<Secret, Refusal> {
    let Account { user, password, .. } = party.credentials;
    let user = canonical(user)?;
    let name = user.replace('=', "=3D").replace(',', "=2C");
    let port = party
        .port
        .map_or_else(String::new, |port| format!("\x01port={port}"));
    let start = format!("n,a={name},\x01host={}{port}", party.host);
    with_token(user, &start, password)
}

/// A response with a token. What separates its parts cannot be in them.
fn with_token(user: &str, start: &str, token: &Secret) -> Result<Secret, Refusal> {
    let mut given = user.bytes().chain(token.expose().iter().copied());
    if given.any(|byte| byte.is_ascii_control()) {
        return Err(Refusal::Failure);
    }
    let start = [start.as_bytes(), b"\x01auth=Bearer "].concat();
    Ok(Secret::new([&start, token.expose(), b"\x01\x01"].concat()))
}

/// The predecessor of OAUTHBEARER, as Google documents it.
fn xoauth2(credentials: &Account) -> Result<Secret, Refusal> {
    let user = canonical(&credentials.user)?;
    with_token(user, &format!("user={user}"), &credentials.password)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
