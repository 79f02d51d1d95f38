//! How names become addresses.

use crate::parameter::{params, shared, smtp_only, twins};
use crate::{Derived, Grammar};
use smtp_policy::dns::SearchMode;
use smtp_policy::route::{AddressPreference, DnsSupport, HostLookup};

params! {
    "lookup";
    /// DNS use, address order, and what to do when lookups fail.
    pub struct LookupParams {
        /// Which address family comes first among MX hosts of equal preference; `any` mixes them.
        address_preference: AddressPreference =
            twins("smtp_address_preference", "lmtp_address_preference", "any")
                .min(1);
        /// Whether both address families keep a fair share when there are more addresses than
        /// `smtp_mx_address_limit`.
        balance_inet_protocols: bool =
            twins("smtp_balance_inet_protocols", "lmtp_balance_inet_protocols", "yes");
        /// Whether addresses of equal preference are shuffled. no: they stay in the order of the
        /// DNS reply.
        randomize_addresses: bool =
            twins("smtp_randomize_addresses", "lmtp_randomize_addresses", "yes");
        /// How host names become addresses: by DNS, by the operating system, or first by DNS and
        /// then by the system if the DNS knows nothing. Without DNS support the field holds
        /// `native` alone.
        host_lookup: HostLookup = twins("smtp_host_lookup", "lmtp_host_lookup", "dns").min(1);
        /// How much of the DNS is used. Empty: `disabled` if `disable_dns_lookups` is set, else
        /// `enabled`; the field holds the outcome.
        dns_support_level: Derived<DnsSupport> =
            twins("smtp_dns_support_level", "lmtp_dns_support_level", "");
        /// The old way to turn the DNS off: counts while `smtp_dns_support_level` is empty, and the
        /// field then agrees with it.
        disable_dns_lookups: bool = shared("disable_dns_lookups", "no");
        /// Whether short host names are completed: `res_defnames` with the local domain,
        /// `res_dnsrch` with the search list. Never used for MX or TLSA questions; either makes the
        /// DANE levels unavailable.
        dns_resolver_options: SearchMode =
            twins("smtp_dns_resolver_options", "lmtp_dns_resolver_options", "");
        /// Tables that see every record of a DNS reply as text, `name. ttl IN TYPE value`, and may
        /// drop it with `IGNORE`. If all are dropped, or a table fails, the lookup fails
        /// temporarily. External tables are refused.
        dns_reply_filter: String = twins("smtp_dns_reply_filter", "lmtp_dns_reply_filter", "")
            .tables();
        /// SMTP only: when an MX lookup fails temporarily, try the address of the domain itself
        /// instead of giving up. A domain or record that does not exist is no such failure.
        ignore_mx_lookup_error: bool = smtp_only("ignore_mx_lookup_error", "no", "no");
        /// Whether mail is deferred, rather than returned, when there are MX records but none of
        /// their hosts has an address.
        defer_if_no_mx_address_found: bool =
            twins("smtp_defer_if_no_mx_address_found", "lmtp_defer_if_no_mx_address_found", "no");
        /// Which name a server has if its name is an alias, for certificates, passwords, policies
        /// and reports: the alias (no) or the name at the end of the chain (yes).
        cname_overrides_servername: bool =
            twins("smtp_cname_overrides_servername", "lmtp_cname_overrides_servername", "no");
        /// A record, `type:name`, to look up once when replies turn out not to be validated, to
        /// warn of a resolver that does not validate. Empty turns it off.
        dnssec_probe: String = shared("dnssec_probe", "ns:.")
            .grammar(Grammar::Record)
            .mapped("the types are a, aaaa, cname, mx, ns, srv and tlsa; a value that is malformed is \
                     refused when the configuration is loaded");
    }
    rows {
    }
}
