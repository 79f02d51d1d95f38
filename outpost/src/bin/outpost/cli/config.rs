//! The command line of `outpost config`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use clap::Args;

use super::ParameterArgs;

const CONFIG_NOTES: &str = "\
Exit status:
   0  all is well; an unknown name is a warning
  64  the command line is wrong
  74  the parameters could not be written to standard output
  78  main.cf cannot be read, or has a value that cannot be used

Examples:
  outpost config -d smtp_helo_timeout       the default of one parameter
  outpost config --config main.cf -n        what main.cf sets
  outpost config --config main.cf relayhost smtp_tls_security_level";

/// Show parameters, as postconf(1) does.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_NOTES)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// Show defaults instead of the values that are set.
    #[arg(short = 'd', conflicts_with = "non_default")]
    pub(crate) defaults: bool,

    /// Show only what main.cf or -o sets.
    #[arg(short = 'n')]
    pub(crate) non_default: bool,

    /// The parameters to show; all of them when none is named.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
