//! A stand-in for the mechanisms in a build without them. A configuration that
//! turns login on is refused, so that nothing of this ever runs.

use smtp_proto::secret::Secret;

use super::{Party, Refusal, auth_cache::Fingerprint, mechanism::Mechanism};

/// No exchange.
#[derive(Debug)]
pub(crate) enum Exchange {}

impl Exchange {
    pub(crate) fn begin(_: Mechanism, _: &Party<'_>) -> Result<(Self, Option<Secret>), Refusal> {
        Err(Refusal::NoMechanism)
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        match *self {}
    }

    pub(crate) fn step(&mut self, _: &[u8]) -> Result<Secret, Refusal> {
        match *self {}
    }

    pub(crate) fn refuses_token(&self) -> bool {
        match *self {}
    }

    pub(crate) fn knows_server(&self) -> bool {
        match *self {}
    }
}

pub(crate) fn fingerprint(_: &str, _: &[u8]) -> Fingerprint {
    [0; 32]
}
