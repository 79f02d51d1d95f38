//! `--dnssec-validate`: DNS answers that are validated in the program itself.

use std::path::Path;

#[cfg(feature = "dnssec")]
use crate::exit::OrExit;
use crate::{
    exit::{Exit, Failure},
    runtime::Worker,
};

/// Turns validation on, with the keys of a file or those of the root zone.
#[cfg(feature = "dnssec")]
pub(crate) fn validate(worker: &Worker, anchors: Option<&Path>) -> Result<(), Failure> {
    use runtime_tokio::Validator;

    let Worker::Tokio(_, client) = worker else {
        return Err(Failure::new(
            Exit::Usage,
            "--dnssec-validate needs --runtime tokio",
        ));
    };
    client.validate_dns(match anchors {
        Some(path) => Validator::with_trust_anchors(path).or_exit(Exit::Config)?,
        None => Validator::default(),
    });
    Ok(())
}

/// Without the feature there is nothing to turn on.
#[cfg(not(feature = "dnssec"))]
pub(crate) fn validate(_: &Worker, _: Option<&Path>) -> Result<(), Failure> {
    Err(Failure::new(
        Exit::Usage,
        "--dnssec-validate needs a program that was built with the feature dnssec",
    ))
}
