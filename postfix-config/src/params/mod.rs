//! The entries of the parameter table, one file for each group of [`Config`](super::Config).

pub(crate) mod cache;
pub(crate) mod connect;
pub(crate) mod content;
pub(crate) mod daemon;
pub(crate) mod general;
pub(crate) mod helo;
pub(crate) mod lookup;
pub(crate) mod newer;
pub(crate) mod sasl;
pub(crate) mod timeout;
pub(crate) mod tls;
pub(crate) mod verdict;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::parameter::Parameter;

/// All groups, in the order of the fields of [`Config`](super::Config).
pub(crate) const GROUPS: &[&[Parameter]] = &[
    general::GeneralParams::ROWS,
    connect::ConnectParams::ROWS,
    lookup::LookupParams::ROWS,
    helo::HeloParams::ROWS,
    timeout::TimeoutParams::ROWS,
    content::ContentParams::ROWS,
    verdict::VerdictParams::ROWS,
    cache::CacheParams::ROWS,
    sasl::SaslParams::ROWS,
    tls::TlsParams::ROWS,
    daemon::DaemonParams::ROWS,
    newer::NewerParams::ROWS,
];

/// The names that Postfix knows and that are none of this client's: other daemons read them. They
/// stand in a real main.cf and are no mistakes.
const FOREIGN: &str = include_str!("foreign.txt");

/// Ends of names that Postfix makes from the name of any transport.
const TRANSPORT_SUFFIXES: &[&str] = &[
    "_delivery_slot_cost",
    "_delivery_slot_discount",
    "_delivery_slot_loan",
    "_destination_concurrency_failed_cohort_limit",
    "_destination_concurrency_limit",
    "_destination_concurrency_negative_feedback",
    "_destination_concurrency_positive_feedback",
    "_destination_rate_delay",
    "_destination_recipient_limit",
    "_extra_recipient_limit",
    "_initial_destination_concurrency",
    "_minimum_delivery_slots",
    "_recipient_limit",
    "_recipient_refill_delay",
    "_recipient_refill_limit",
    "_time_limit",
    "_transport_rate_delay",
];

static FOREIGN_NAMES: LazyLock<BTreeSet<&str>> = LazyLock::new(|| foreign_names().collect());

/// Whether a name is a parameter of another part of Postfix.
pub(crate) fn is_foreign(name: &str) -> bool {
    FOREIGN_NAMES.contains(name)
        || TRANSPORT_SUFFIXES
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

/// The names of other parts of Postfix, for spelling hints.
pub(crate) fn foreign_names() -> impl Iterator<Item = &'static str> {
    FOREIGN
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}
