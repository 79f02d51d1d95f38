//! The command line of `outpost config`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use clap::Args;

use super::ParameterArgs;

const CONFIG_EXAMPLES: &str = "\
Examples:
  outpost config -d smtp_helo_timeout       the default of one parameter
  outpost config --config main.cf -n        what main.cf sets
  outpost config --config main.cf relayhost smtp_tls_security_level";

/// Show parameters, as postconf(1) does.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES, after_long_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// Show defaults instead of what is set.
    #[arg(short = 'd', conflicts_with = "non_default")]
    pub(crate) defaults: bool,

    /// Show only what main.cf or -o sets.
    #[arg(short = 'n')]
    pub(crate) non_default: bool,

    /// The parameters to show; all of them when none is named.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
