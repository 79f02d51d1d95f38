//! How names become addresses.

use crate::config::choice::{AddressPreference, DnsSupport, HostLookup, ResolverOptions};
use crate::config::parameter::{params, shared, smtp_only, twins};

params! {
    "lookup";
    /// DNS use, address order, and what to do when lookups fail.
    pub struct LookupParams {
        /// Order of address families among equal MX preference: family first, or mixed (any). Bad
        /// value is fatal.
        address_preference: AddressPreference =
            twins("smtp_address_preference", "lmtp_address_preference", "any")
            .min(1);
        /// When the address list has both IPv4 and IPv6 and is longer than `smtp_mx_address_limit`,
        /// thin the list so both families keep a fair share before the limit is applied, preserving
        /// order.
        balance_inet_protocols: bool =
            twins("smtp_balance_inet_protocols", "lmtp_balance_inet_protocols", "yes");
        /// Shuffle addresses of equal preference (stable sort by preference follows). no: DNS order.
        randomize_addresses: bool =
            twins("smtp_randomize_addresses", "lmtp_randomize_addresses", "yes");
        /// How host names become addresses: by DNS, by the operating system, or first by DNS and then
        /// by the system if the DNS knows nothing. Without DNS support the field holds `native`
        /// alone.
        host_lookup: HostLookup = twins("smtp_host_lookup", "lmtp_host_lookup", "dns").min(1);
        /// How much of the DNS is used. Empty: `disabled` if `disable_dns_lookups` is set, else
        /// `enabled`; the field holds the outcome.
        dns_support_level: DnsSupport =
            twins("smtp_dns_support_level", "lmtp_dns_support_level", "");
        /// The old way to turn the DNS off: counts while `smtp_dns_support_level` is empty, and the
        /// field then agrees with it.
        disable_dns_lookups: bool = shared("disable_dns_lookups", "no");
        /// Resolver flags turned on for host (A/AAAA) lookups only, allowing the local domain or the
        /// search list to be appended to short names. Never used for MX or TLSA queries. Either flag
        /// makes dane levels inapplicable.
        dns_resolver_options: ResolverOptions =
            twins("smtp_dns_resolver_options", "lmtp_dns_resolver_options", "");
        /// Filter on every record of a positive DNS reply (MX, A, AAAA, TLSA...). Key form is "name.
        /// ttl IN TYPE value". Only action is IGNORE (drop the record). If all are dropped the lookup
        /// fails with policy status 4.7.0; unknown action or lookup error is a temporary lookup
        /// error.
        dns_reply_filter: String = twins("smtp_dns_reply_filter", "lmtp_dns_reply_filter", "")
            .tables();
        /// SMTP only. When the MX query ends in temporary failure, invalid reply or non-recoverable
        /// failure, do a plain host (A/AAAA) lookup of the domain instead of giving up;
        /// NXDOMAIN/no-data, null MX and reply-filter rejections are not affected. Setting it also
        /// makes the dane/dane-only levels inapplicable (dane falls to may, dane-only to an invalid
        /// policy).
        ignore_mx_lookup_error: bool = smtp_only("ignore_mx_lookup_error", "no", "no");
        /// MX records exist but no MX host yields an address: turn a hard (5.x.x) status into the
        /// same code with class 4. Soft statuses stay soft. Parameter also exists for LMTP but LMTP
        /// never looks up MX.
        defer_if_no_mx_address_found: bool =
            twins("smtp_defer_if_no_mx_address_found", "lmtp_defer_if_no_mx_address_found", "no");
        /// Server host name used for certificate matching, SASL lookups, TLS policy by host, logging
        /// and DSN: no = the name that was looked up; yes = the canonical name at the end of the
        /// CNAME chain.
        cname_overrides_servername: bool =
            twins("smtp_cname_overrides_servername", "lmtp_cname_overrides_servername", "no");
        /// Once per process, after the first reply to a DNSSEC-requesting lookup that lacks AD (and
        /// no earlier AD reply was seen), look up this record and warn if the reply is not validated.
        /// Empty disables. Malformed value is fatal.
        dnssec_probe: String = shared("dnssec_probe", "ns:.").not_yet("DNSSEC probing");
    }
    rows {
    }
}
