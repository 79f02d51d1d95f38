//! What a handshake has shown, and how the log puts it
//! (`src/tls/tls_misc.c`, tls_log_summary; `src/tls/tls_verify.c`,
//! tls_log_verify_error).

use core::fmt;

use smtp_proto::secret::Secret;

#[cfg(feature = "tls")]
use super::certificate::Certificate;
use super::dane::Tlsa;

/// The number of names of a certificate a report shows, besides the last one.
const NAMES_SHOWN: usize = 3;

/// What a handshake has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version as OpenSSL calls it: `TLSv1.3`.
    pub version: &'static str,
    /// The cipher as OpenSSL calls it.
    pub cipher: String,
    /// The length of its key in bits.
    pub bits: u16,
    /// How the keys were agreed on: ` key-exchange …` of the summary. TLS 1.3 only.
    pub key_exchange: Option<String>,
    /// How the server signed: ` server-signature …` of the summary. TLS 1.3 only.
    pub signature: Option<String>,
    /// The certificates that the server sent, in DER, its own first.
    pub chain: Vec<Vec<u8>>,
    /// What they are worth.
    pub trust: Trust,
    /// Whether the server has proved what was demanded.
    pub matched: bool,
    /// By what the server was recognised; `None` if nothing was demanded, or it was
    /// not.
    pub matched_by: Option<MatchedBy>,
    /// What is wrong with the certificates.
    pub problem: Option<Problem>,
    /// Whether an earlier session was resumed. Then `chain` is what the server sent
    /// in that one, and it signed nothing anew.
    pub resumed: bool,
    /// Whether the server asked for a certificate of the client and got one.
    pub showed_certificate: bool,
    /// What tells this connection from all others, for a login that is bound to it;
    /// `None` if there is nothing of a kind that fits the version.
    pub binding: Option<ChannelBinding>,
}

/// A channel binding (RFC 5056): both ends of a connection can compute it, and
/// whoever sits between them sees two different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBinding {
    /// What it is made of.
    pub kind: BindingKind,
    /// The value. It is never sent in the clear, and not shown either.
    pub data: Secret,
}

/// What a channel binding is made of. `tls-unique` is not among them: it has been
/// broken by the triple handshake, has no meaning in TLS 1.3, and rustls does not
/// give it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// Keys of the connection (RFC 9266), in TLS 1.3.
    TlsExporter,
    /// A digest of the server's certificate (RFC 5929 section 4), in TLS 1.2.
    TlsServerEndPoint,
}

impl BindingKind {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

/// By what a server was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchedBy {
    /// Its certificate has a fingerprint that was wanted.
    CertificateFingerprint,
    /// Its public key has a fingerprint that was wanted.
    KeyFingerprint,
    /// A trusted issuer vouches for its certificate, which has this name or address
    /// in it.
    Name(String),
    /// A TLSA record of usage 3 means its certificate or key. Names and dates do not
    /// count then.
    EndEntity(Tlsa),
    /// A TLSA record of usage 2 means an issuer above its certificate, which has this
    /// name or address in it.
    TrustAnchor(Tlsa, String),
}

/// The first word of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// There is no certificate.
    Anonymous,
    /// Nobody vouches for the certificate, or not for this server.
    Untrusted,
    /// Somebody who is trusted vouches for the certificate.
    Trusted,
    /// The certificate is the one that the level demands.
    Verified,
}

impl Trust {
    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::Untrusted => "Untrusted",
            Self::Trusted => "Trusted",
            Self::Verified => "Verified",
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TlsFacts {
    /// The facts of a handshake without certificates, for engines of a consumer's
    /// own. `version` and `cipher` are what the log calls them, `bits` the length of
    /// the key, `matched` whether the server has proved what was demanded. The other
    /// facts can be set afterwards.
    pub const fn new(
        version: &'static str,
        cipher: String,
        bits: u16,
        trust: Trust,
        matched: bool,
    ) -> Self {
        Self {
            version,
            cipher,
            bits,
            key_exchange: None,
            signature: None,
            chain: Vec::new(),
            trust,
            matched,
            matched_by: None,
            problem: None,
            resumed: false,
            showed_certificate: false,
            binding: None,
        }
    }

    /// The fault of the certificates, in words for people. A name that does not
    /// match comes with those that the certificate has.
    pub(crate) fn problem_words(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        let names = match problem {
            Problem::WrongName => self.names(),
            _ => Vec::new(),
        };
        let Some((last, before)) = names.split_last() else {
            return Some(problem.words());
        };
        let shown = before.iter().take(NAMES_SHOWN).chain([last]);
        let shown: Vec<&str> = shown.map(String::as_str).collect();
        let left_out = names.len().saturating_sub(shown.len());
        let more = match left_out {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        Some(format!(
            "{}: the certificate is for {}{more}",
            problem.words(),
            shown.join(", ")
        ))
    }

    /// The names in the server's certificate.
    #[cfg(feature = "tls")]
    fn names(&self) -> Vec<String> {
        let certificate = self.chain.first().and_then(|der| Certificate::parse(der));
        let names = certificate.map(|found| found.names()).unwrap_or_default();
        let addresses = names.addresses.iter().map(ToString::to_string);
        let mut all: Vec<String> = names.dns.iter().cloned().chain(addresses).collect();
        if all.is_empty() {
            all.extend(names.common);
        }
        all
    }

    /// None: nothing reads certificates without the feature `tls`.
    #[cfg(not(feature = "tls"))]
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The problem in a few words.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

/// What is wrong with a chain of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The policy knows of no such certificate.
    NotInPolicy,
    /// The server's certificate is signed by its own key, and not trusted.
    SelfSigned,
    /// Nobody knows this issuer.
    UnknownIssuer(String),
    /// A certificate is not valid yet; true: one of an authority.
    NotYetValid(bool),
    /// A certificate is not valid any more; true: one of an authority.
    Expired(bool),
    /// The certificate is not for servers.
    NotForServers,
    /// There are more certificates between the server's and the authority's than
    /// this.
    TooLong(u32),
    /// The certificate has none of the names that were wanted.
    WrongName,
    /// Something else, in the words of whoever found it.
    Other(String),
}

impl Problem {
    /// The problem in a few words.
    pub fn words(&self) -> String {
        let whose = |authority: bool| match authority {
            true => "certificate of an authority",
            false => "certificate",
        };
        match self {
            Self::NotInPolicy => "not trusted by local or TLSA policy".to_owned(),
            Self::SelfSigned => "self-signed certificate".to_owned(),
            Self::UnknownIssuer(issuer) => format!("untrusted issuer {issuer}"),
            Self::NotYetValid(authority) => format!("{} not yet valid", whose(*authority)),
            Self::Expired(authority) => format!("{} has expired", whose(*authority)),
            Self::NotForServers => "not designated for use as a server certificate".to_owned(),
            Self::TooLong(limit) => format!("certificate chain longer than limit({limit})"),
            Self::WrongName => "hostname mismatch".to_owned(),
            Self::Other(text) => text.clone(),
        }
    }

    /// The line for the log.
    pub(crate) fn line(&self, peer: &dyn fmt::Display) -> String {
        let failed = "certificate verification failed for";
        let whose = |authority: bool| if authority { "CA" } else { "server" };
        match self {
            Self::NotInPolicy => format!("{failed} {peer}: not trusted by local or TLSA policy"),
            Self::SelfSigned => format!("{failed} {peer}: self-signed certificate"),
            Self::UnknownIssuer(issuer) => format!("{failed} {peer}: untrusted issuer {issuer}"),
            Self::NotYetValid(authority) => {
                format!(
                    "{} {failed} {peer}: certificate not yet valid",
                    whose(*authority)
                )
            }
            Self::Expired(authority) => {
                format!(
                    "{} {failed} {peer}: certificate has expired",
                    whose(*authority)
                )
            }
            Self::NotForServers => {
                format!("{failed} {peer}: not designated for use as a server certificate")
            }
            Self::TooLong(limit) => {
                format!("{failed} {peer}: certificate chain longer than limit({limit})")
            }
            Self::WrongName => format!("server {failed} {peer}: num=62:hostname mismatch"),
            Self::Other(text) => format!("server {failed} {peer}: {text}"),
        }
    }
}
