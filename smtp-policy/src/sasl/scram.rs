//! SCRAM (RFC 5802, RFC 7677): a proof of the password that neither shows it nor can
//! be replayed, and a proof that the server knows it; with channel binding, both are
//! worth nothing on another connection.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use smtp_proto::secret::Secret;

use super::{Account, Binding, Refusal};

/// The rounds of hashing that a server may ask for. Fewer are no protection
/// (RFC 7677 section 4), more would stop this client for a while. The limits are
/// those of Cyrus SASL.
const ITERATIONS: core::ops::RangeInclusive<u32> = 4096..=65_536;

/// The hash function that gives a mechanism its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Sha1 => tag::<Hmac<Sha1>>(key, text),
            Self::Sha256 => tag::<Hmac<Sha256>>(key, text),
            Self::Sha512 => tag::<Hmac<Sha512>>(key, text),
        }
    }

    /// `Hi` of RFC 5802 section 2.2.
    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => {
                let mut key = [0; 20];
                pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key);
                key.into()
            }
            Self::Sha256 => {
                let mut key = [0; 32];
                pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
                key.into()
            }
            Self::Sha512 => {
                let mut key = [0; 64];
                pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut key);
                key.into()
            }
        }
    }
}

/// The code of a text. A key of any length will do.
fn tag<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mac = <M as KeyInit>::new_from_slice(key).map_err(|_| Refusal::Failure)?;
    Ok(mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// An exchange after the client's first message.
pub(super) struct Scram {
    hash: Hash,
    password: Secret,
    /// Says how the exchange is bound to the connection, and who to act as; behind
    /// it stands the binding itself.
    bound: Vec<u8>,
    /// The first message without the header.
    first: String,
    nonce: String,
}

/// An exchange after the client's proof: what the server has to answer.
pub(super) struct ServerProof {
    signature: Vec<u8>,
}

impl Scram {
    /// Begins an exchange; also returns the first message. User and password are
    /// used as they are, without SASLprep, as Cyrus SASL does.
    pub(super) fn begin(
        hash: Hash,
        credentials: &Account,
        authzid: bool,
        binding: &Binding,
        nonce: String,
    ) -> (Self, Secret) {
        let user = escape(&credentials.user);
        let flag = flag(binding);
        let header = if authzid {
            format!("{flag},a={user},")
        } else {
            format!("{flag},,")
        };
        let first = format!("n={user},r={nonce}");
        let message = Secret::new(format!("{header}{first}"));
        let mut bound = header.into_bytes();
        if let Binding::Wanted(binding) = binding {
            bound.extend_from_slice(binding.data.expose());
        }
        let scram = Self {
            hash,
            password: credentials.password.clone(),
            first,
            bound,
            nonce,
        };
        (scram, message)
    }

    /// Answers the server's first message with the proof of the password.
    pub(super) fn prove(self, challenge: &[u8]) -> Result<(ServerProof, Secret), Refusal> {
        let server_first = text(challenge)?;
        // A mandatory extension would come first (RFC 5802 section 5.1).
        let mut attributes = server_first.split(',');
        let mut next = |name| attributes.next().and_then(|text| text.strip_prefix(name));
        let nonce: &str = next("r=").ok_or(Refusal::Protocol)?;
        let salt = next("s=").and_then(decode).ok_or(Refusal::Protocol)?;
        let iterations = next("i=").and_then(|text: &str| text.parse().ok());
        let iterations = iterations
            .filter(|iterations| ITERATIONS.contains(iterations))
            .ok_or(Refusal::Protocol)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(Refusal::Protocol);
        }

        let bound = BASE64_STANDARD.encode(&self.bound);
        let unproven = format!("c={bound},r={nonce}");
        let messages = format!("{},{server_first},{unproven}", self.first);
        let hash = self.hash;
        let salted = hash.stretch(self.password.expose(), &salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key")?;
        let signature = hash.hmac(&hash.digest(&client_key), messages.as_bytes())?;
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(key, mask)| key ^ mask)
            .collect();
        let server_key = hash.hmac(&salted, b"Server Key")?;
        let expected = ServerProof {
            signature: hash.hmac(&server_key, messages.as_bytes())?,
        };
        let proof = BASE64_STANDARD.encode(proof);
        Ok((expected, Secret::new(format!("{unproven},p={proof}"))))
    }
}

impl ServerProof {
    /// Checks the server's last message.
    pub(super) fn check(&self, challenge: &[u8]) -> Result<(), Refusal> {
        // `e=…`, the server's reason for a refusal, is no signature either.
        let signature = text(challenge)?
            .split(',')
            .next()
            .and_then(|text| text.strip_prefix("v="));
        let signature = signature.and_then(decode).ok_or(Refusal::Protocol)?;
        if signature == self.signature {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }
}

/// The first word of the first message (RFC 5802 section 7, gs2-cbind-flag). `y` lets
/// a server that can be bound find out that somebody has hidden it.
fn flag(binding: &Binding) -> String {
    match binding {
        Binding::Unknown => "n".to_owned(),
        Binding::Unwanted => "y".to_owned(),
        Binding::Wanted(binding) => format!("p={}", binding.kind.as_str()),
    }
}

fn text(message: &[u8]) -> Result<&str, Refusal> {
    core::str::from_utf8(message).map_err(|_| Refusal::Protocol)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// A name without the characters that structure messages.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;
    use proptest::prelude::*;

    /// A hash, and the messages of an exchange by `user` with `pencil`: the client's
    /// nonce, then server, client, server.
    type Row = (Hash, &'static str, [&'static str; 3]);

    /// RFC 5802 section 5 and RFC 7677 section 3.
    const EXCHANGES: [Row; 2] = [
        (
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            [
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ],
        ),
        (
            Hash::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            [
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ],
        ),
    ];

    fn begin(hash: Hash, user: &str, nonce: &str) -> (Scram, String) {
        let credentials = Account {
            user: user.into(),
            password: Secret::new("pencil"),
            proof: crate::sasl::Proof::Password,
        };
        let (scram, first) =
            Scram::begin(hash, &credentials, false, &Binding::Unknown, nonce.into());
        (scram, shown(&first))
    }

    fn shown(secret: &Secret) -> String {
        String::from_utf8(secret.expose().to_vec()).unwrap()
    }

    #[test]
    fn the_exchanges_of_the_rfcs_come_out_as_printed() {
        for (hash, nonce, [server_first, client_final, server_final]) in EXCHANGES {
            let (scram, first) = begin(hash, "user", nonce);
            assert_eq!(first, format!("n,,n=user,r={nonce}"));
            let (proof, response) = scram.prove(server_first.as_bytes()).unwrap();
            assert_eq!(shown(&response), client_final);
            assert_eq!(proof.check(server_final.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let (hash, nonce, [server_first, ..]) = EXCHANGES[1];
        let (scram, _) = begin(hash, "user", nonce);
        let (proof, _) = scram.prove(server_first.as_bytes()).unwrap();
        let rows = [
            ("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", Refusal::Mismatch),
            ("e=invalid-proof", Refusal::Protocol),
            ("v=***", Refusal::Protocol),
            ("", Refusal::Protocol),
        ];
        for (message, expected) in rows {
            assert_eq!(proof.check(message.as_bytes()), Err(expected), "{message}");
        }
        let bluff = proof.check(rows[0].0.as_bytes()).unwrap_err();
        assert_eq!(bluff.to_string(), "authentication failure");
    }

    #[test]
    fn a_first_message_that_makes_no_sense_is_refused() {
        let rows = [
            ("r=NONCEmore,s=c2FsdA==,i=4096", true),
            ("r=NONCEmore,s=c2FsdA==,i=65536,x=later", true),
            ("r=NONCE,s=c2FsdA==,i=4096", false),
            ("r=OTHER,s=c2FsdA==,i=4096", false),
            ("r=NONCEmore,s=c2FsdA==,i=4095", false),
            ("r=NONCEmore,s=c2FsdA==,i=65537", false),
            ("r=NONCEmore,s=c2FsdA==,i=99999999999", false),
            ("r=NONCEmore,s=salty,i=4096", false),
            ("m=new,r=NONCEmore,s=c2FsdA==,i=4096", false),
            ("r=NONCEmore,i=4096,s=c2FsdA==", false),
            ("r=NONCEmore", false),
            ("", false),
        ];
        for (message, expected) in rows {
            let (scram, _) = begin(Hash::Sha512, "user", "NONCE");
            let result = scram.prove(message.as_bytes());
            assert_eq!(result.is_ok(), expected, "{message}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(begin(Hash::Sha1, "a=b,c", "N").1, "n,,n=a=3Db=2Cc,r=N");
    }

    proptest! {
        #[test]
        fn no_message_breaks_an_exchange(
            first in "[ -~é]{0,40}|[rsivem=,0-9+/]{0,60}|r=NONCE[ -~]{0,9},s=[a-zA-Z=,]{0,9},i=[0-9]{0,12}",
            last in "[ -~é]{0,40}|v=[a-zA-Z=]{0,60}",
            raw in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            for message in [first.as_bytes(), &raw] {
                let (scram, _) = begin(Hash::Sha1, "user", "NONCE");
                let _ = scram.prove(message);
            }
            let proof = ServerProof { signature: vec![0; 20] };
            prop_assert!(proof.check(last.as_bytes()).is_err() && proof.check(&raw).is_err());
        }
    }
}
