//! AUTH: the frame around a SASL exchange (RFC 4954; `src/smtp/smtp_sasl_glue.c`,
//! smtp_sasl_authenticate). Which mechanism is used and what it says is decided
//! above; here is base64, the length of lines, and whose turn it is.

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec::Vec};
use core::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Closed, Negotiation, Session, Stage, State};
use crate::{reply::Reply, secret::Secret};

/// The most bytes of the AUTH line, its line end included (RFC 5321 section
/// 4.5.3.1.4). A longer initial response waits for the server's first challenge.
const LINE_LIMIT: usize = 512;

/// `AUTH`, two blanks and the line end, as Postfix counts them.
const OVERHEAD: usize = 8;

/// What is not part of a mechanism's name but stands around the code of a reply.
const SEPARATORS: [char; 4] = ['-', ' ', '\t', '\n'];

/// Base64 as servers write it: padded, but without a look at bits that are thrown
/// away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The name of a SASL mechanism: 1 to 20 letters, digits, hyphens and underscores
/// (RFC 4422 section 3.1), in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MechanismName(String);

impl MechanismName {
    /// Checks a name; lower case becomes upper case.
    ///
    /// # Errors
    /// The name is empty, too long, or has another character.
    pub fn parse(name: &str) -> Result<Self, MechanismNameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=20).contains(&name.len()) && name.bytes().all(fits) {
            Ok(Self(name.to_ascii_uppercase()))
        } else {
            Err(MechanismNameError)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MechanismNameError;

impl fmt::Display for MechanismNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a SASL mechanism")
    }
}

impl core::error::Error for MechanismNameError {}

/// Why a challenge cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// It is not base64.
    Malformed,
    /// It is base64 that ends in the middle of a group.
    Incomplete,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the challenge is not base64",
            Self::Incomplete => "the challenge ends in the middle",
        })
    }
}

impl core::error::Error for ChallengeError {}

/// An exchange that is under way.
#[derive(Debug, Default)]
pub(super) struct Auth {
    /// The initial response in base64, when it was not sent with AUTH.
    withheld: Option<Secret>,
    /// What the server has said last, if it is this side's turn.
    challenge: Option<String>,
    rounds: u32,
}

impl Auth {
    pub(super) fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// The server has sent a challenge. Returns the response to it if that was
    /// withheld; otherwise somebody has to find one.
    fn hear(&mut self, challenge: &str) -> Option<Secret> {
        self.rounds = self.rounds.saturating_add(1);
        if challenge.is_empty() && self.withheld.is_some() {
            return self.withheld.take();
        }
        self.challenge = Some(challenge.to_owned());
        None
    }
}

/// The server has sent a challenge, and waits for a response.
#[derive(Debug)]
pub struct SaslTurn<'a> {
    session: &'a mut Session,
}

impl SaslTurn<'_> {
    /// The challenge, decoded. It is at most as long as a reply line is
    /// ([`ReplyLimits`](crate::reply::ReplyLimits)); what is longer was cut.
    ///
    /// # Errors
    /// It is not base64, or was cut.
    pub fn challenge(&self) -> Result<Vec<u8>, ChallengeError> {
        self.auth()
            .and_then(|auth| auth.challenge.as_deref())
            .map_or(Ok(Vec::new()), decode)
    }

    /// How many challenges the server has sent in this exchange, this one included.
    /// A server may go on for ever; the caller sets the limit.
    pub fn rounds(&self) -> u32 {
        self.auth().map_or(0, |auth| auth.rounds)
    }

    /// Whether the server speaks out of turn: an initial response was too long for
    /// the AUTH line and waits for an empty challenge, but this one is not empty.
    /// There is no sense in a response then.
    pub fn is_out_of_turn(&self) -> bool {
        self.auth().is_some_and(|auth| auth.withheld.is_some())
    }

    /// Sends a response, which may be empty.
    pub fn respond(self, response: &Secret) {
        self.session.state.in_auth(|auth| auth.challenge = None);
        self.session.say_secret("", encode(response).expose());
    }

    /// Calls the exchange off with `*` (RFC 4954 section 4). The server answers
    /// with a refusal, then the [`Negotiation`] is there again.
    pub fn cancel(self) {
        self.session.state.in_auth(|auth| {
            *auth = Auth {
                rounds: auth.rounds,
                ..Auth::default()
            };
        });
        self.session.say_secret("*", b"");
    }

    /// Leaves with QUIT instead of a response, as Postfix does when it cannot go
    /// on.
    pub fn quit(self) {
        self.session.leave(Closed::Quit);
    }

    fn auth(&self) -> Option<&Auth> {
        match &*self.session.state {
            State::Auth(auth) => Some(auth),
            _ => None,
        }
    }
}

impl Negotiation<'_> {
    /// Says AUTH, with the initial response if the mechanism has one and it fits
    /// the line; otherwise the response to the first, empty challenge is taken
    /// from it, and an initial response of no bytes always.
    ///
    /// [`Need::Sasl`](super::Need::Sasl) comes for each challenge. The last reply,
    /// be it success or not, is followed by another negotiation, with what is
    /// known already: Postfix says no EHLO again.
    pub fn auth(self, mechanism: &MechanismName, initial: Option<&Secret>) {
        let response = initial.map(encode);
        let fits = |response: &Secret| {
            let length = response.expose().len();
            length > 0 && mechanism.0.len() + length + OVERHEAD <= LINE_LIMIT
        };
        let name = &mechanism.0;
        let (command, sent, withheld) = match response {
            Some(response) if fits(&response) => (format!("AUTH {name} "), response, None),
            response => (format!("AUTH {name}"), Secret::default(), response),
        };
        self.session.state.go(State::Auth(Box::new(Auth {
            withheld,
            ..Auth::default()
        })));
        self.session.say_secret(&command, sent.expose());
    }
}

impl Session {
    /// The challenge to be answered, while there is one.
    pub fn sasl(&mut self) -> Option<SaslTurn<'_>> {
        let due = matches!(&*self.state, State::Auth(auth) if auth.is_challenged());
        due.then_some(SaslTurn { session: self })
    }

    pub(super) fn on_auth(&mut self) {
        let Some(reply) = self.take_reply(Stage::Auth) else {
            return;
        };
        if !reply.is_intermediate() {
            return self.state.go(State::Negotiation);
        }
        let text = challenge_text(&reply);
        let response = self.state.in_auth(|auth| auth.hear(text));
        if let Some(response) = response.flatten() {
            self.say_secret("", response.expose());
        }
    }

    /// Writes a line of the exchange. All of it shares one limit with the hello
    /// before it.
    fn say_secret(&mut self, shown: &str, hidden: &[u8]) {
        self.output.write_secret(shown, hidden);
        self.timer.resume(Stage::Auth);
    }
}

/// What stands behind the code; lines that follow are part of it, and make it no
/// base64.
fn challenge_text(reply: &Reply) -> &str {
    reply
        .text()
        .split_once(SEPARATORS)
        .map_or("", |(_, text)| text)
}

fn encode(response: &Secret) -> Secret {
    Secret::new(BASE64.encode(response.expose()))
}

fn decode(text: &str) -> Result<Vec<u8>, ChallengeError> {
    let whole = text.len() - text.len() % 4;
    let (groups, rest) = text
        .split_at_checked(whole)
        .ok_or(ChallengeError::Malformed)?;
    let bytes = BASE64
        .decode(groups)
        .map_err(|_| ChallengeError::Malformed)?;
    match rest {
        "" => Ok(bytes),
        _ if groups.ends_with('=') => Err(ChallengeError::Malformed),
        _ => Err(ChallengeError::Incomplete),
    }
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
    fn challenges_are_base64_or_nothing() {
        use ChallengeError::{Incomplete, Malformed};
        let rows: [(&str, Result<&[u8], ChallengeError>); 11] = [
            ("", Ok(b"")),
            ("VXNlcm5hbWU6", Ok(b"Username:")),
            ("YQ==", Ok(b"a")),
            // The last four bits of the R are thrown away.
            ("YR==", Ok(b"a")),
            ("YQ==YQ==", Err(Malformed)),
            ("YQ==YQ", Err(Malformed)),
            ("YWFh YWFh", Err(Malformed)),
            ("YWFhYW", Err(Incomplete)),
            ("=", Err(Incomplete)),
            ("tell me your name", Err(Malformed)),
            ("YWé", Err(Malformed)),
        ];
        for (text, expected) in rows {
            assert_eq!(
                decode(text).as_deref().map_err(|error| *error),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn the_challenge_stands_behind_the_code() {
        for (text, expected) in [
            ("334", ""),
            ("334 ", ""),
            ("334 YQ==", "YQ=="),
            ("334-YQ==\n334 x", "YQ==\n334 x"),
        ] {
            assert_eq!(challenge_text(&Reply::new(334, text)), expected);
        }
    }

    #[test]
    fn names_of_mechanisms_cannot_break_out_of_their_line() {
        assert_eq!(
            MechanismName::parse("cram-md5").unwrap().as_str(),
            "CRAM-MD5"
        );
        for name in ["", "A B", "A\r\nB", "ABCDEFGHIJKLMNOPQRSTU", "Ä"] {
            assert_eq!(
                MechanismName::parse(name),
                Err(MechanismNameError),
                "{name:?}"
            );
        }
    }
}
