//! The settings by which Postfix decides where mail goes, and under which addresses.
//!
//! Its queue manager and its rewriting and cleanup services follow them, before a delivery begins.
//! The client does not: it takes next hop and addresses from its request.

use super::parameter::Named;

/// The settings, each with Postfix's default.
const ROUTING: &[Named] = &[
    named("canonical_maps", ""),
    named("content_filter", ""),
    named("default_transport", "smtp"),
    named("local_transport", "local:$myhostname"),
    named("recipient_canonical_maps", ""),
    named("relay_transport", "relay"),
    named("relocated_maps", ""),
    named("sender_canonical_maps", ""),
    named("sender_dependent_default_transport_maps", ""),
    named("sender_dependent_relayhost_maps", ""),
    named("transport_maps", ""),
    named("virtual_alias_maps", "$virtual_maps"),
    named("virtual_transport", "virtual"),
];

const fn named(name: &'static str, default: &'static str) -> Named {
    Named { name, default }
}

/// The default of a setting of this kind; none: the name is no such setting.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    let found = ROUTING.iter().find(|named| named.name == name);
    found.map(|named| named.default)
}
