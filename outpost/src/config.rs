//! `outpost config`: parameters, as postconf(1) shows them.
use crate::{
    cli::ConfigArgs,
    exit::{Exit, Failure},
};
pub(crate) fn run(_args: &ConfigArgs) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
