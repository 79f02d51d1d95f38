//! What becomes of TLS at one server, in the terms of SMTP TLS reporting (RFC 8460):
//! facts for whoever makes the reports. Nothing is reported here.

use core::fmt;

/// The contribution of one attempt to a report. Its `Display` is
/// `sts example.com mx.example.com: success`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsResult {
    /// The kind of policy that was applied.
    pub policy: PolicyType,
    /// The domain of the policy.
    pub domain: String,
    /// The name of the mail exchanger.
    pub mx_host: String,
    /// What went wrong; `None` is success.
    pub failure: Option<ResultType>,
}

impl fmt::Display for TlsResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.failure.map_or("success", ResultType::as_str);
        let policy = self.policy.as_str();
        write!(f, "{policy} {} {}: {what}", self.domain, self.mx_host)
    }
}

/// A kind of policy (RFC 8460 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyType {
    /// TLSA records.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// The domain has neither.
    NoPolicyFound,
}

/// A kind of failure (RFC 8460 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResultType {
    /// The server does not offer STARTTLS, or refuses it.
    StartTlsNotSupported,
    /// The certificate has none of the wanted names.
    CertificateHostMismatch,
    /// A certificate has expired.
    CertificateExpired,
    /// Nobody who is trusted vouches for the certificate.
    CertificateNotTrusted,
    /// Anything else, also a mail exchanger that the policy does not name.
    ValidationFailure,
    /// There are TLSA records, but none that can be used.
    TlsaInvalid,
    /// TLSA records could not be looked up.
    DnssecInvalid,
    /// DANE is demanded here, and cannot be had.
    DaneRequired,
    /// An MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// What was fetched is no MTA-STS policy.
    StsPolicyInvalid,
    /// The certificate of the web server with the MTA-STS policy is not valid.
    StsWebPkiInvalid,
}

impl PolicyType {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
        }
    }
}

impl ResultType {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebPkiInvalid => "sts-webpki-invalid",
        }
    }
}
