//! The order of candidates: by chance, by preference, by address family, and
//! a fair share for both families before a limit. Answers to
//! `smtp_balance_inet_proto` in Postfix's `src/smtp/smtp_addr.c` and to the
//! sort functions of `src/dns/dns_rr.c`.

use std::net::IpAddr;

use super::{AddressPreference, Candidate, RoutePolicy};
use crate::seed::SplitMix;

/// The longest list of records of Postfix (`dns_rr_list_limit`).
pub(super) const LIST_LIMIT: usize = 100;

/// Puts candidates in the order in which to try them.
pub(super) fn order(mut list: Vec<Candidate>, policy: &RoutePolicy, seed: u64) -> Vec<Candidate> {
    if list.len() < 2 {
        return list;
    }
    if policy.randomize {
        SplitMix::new(seed).shuffle(&mut list);
    }
    list.sort_by_key(|c| (c.preference, family_rank(c.address, policy.preference)));
    let limit = usize::try_from(policy.address_limit).unwrap_or(LIST_LIMIT);
    if policy.balance && limit > 0 {
        balance(&mut list, limit.min(LIST_LIMIT));
    }
    list
}

fn family_rank(address: IpAddr, preference: AddressPreference) -> u8 {
    match preference {
        AddressPreference::Any => 0,
        AddressPreference::Ipv6 => u8::from(address.is_ipv4()),
        AddressPreference::Ipv4 => u8::from(address.is_ipv6()),
    }
}

/// Drops surplus candidates of either family, latest first, so that `limit`
/// remain and neither family crowds out the other. Keeps the order.
fn balance(list: &mut Vec<Candidate>, limit: usize) {
    let ipv6 = list.iter().filter(|c| c.address.is_ipv6()).count();
    let ipv4 = list.len() - ipv6;
    if ipv4 == 0 || ipv6 == 0 || list.len() <= limit {
        return;
    }
    let ipv4_first = list.first().is_some_and(|c| c.address.is_ipv4());
    let keep_ipv4 = if ipv6 <= limit / 2 {
        limit - ipv6
    } else if ipv4 <= limit / 2 {
        ipv4
    } else {
        (limit + usize::from(ipv4_first)) / 2
    };
    let mut room = [keep_ipv4, limit - keep_ipv4];
    list.retain(|candidate| {
        let [room4, room6] = &mut room;
        let room = if candidate.address.is_ipv4() {
            room4
        } else {
            room6
        };
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    });
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Candidates from a text like `4646`, each with its position as preference.
    fn list(families: &str) -> Vec<Candidate> {
        let address = |family| match family {
            '4' => "192.0.2.1".parse().unwrap(),
            _ => "2001:db8::1".parse().unwrap(),
        };
        let candidate = |(index, family)| Candidate {
            host: Arc::default(),
            address: address(family),
            port: 25,
            preference: u16::try_from(index).unwrap(),
            host_validated: false,
            mx_validated: false,
            asked: Arc::default(),
            canonical: Arc::default(),
        };
        families.chars().enumerate().map(candidate).collect()
    }

    #[test]
    fn balancing_gives_both_families_their_share() {
        // Families in order, limit, positions that remain.
        let cases: [(&str, usize, &[u16]); 8] = [
            ("4446", 2, &[0, 3]),
            ("6664", 2, &[0, 3]),
            ("444444", 2, &[0, 1, 2, 3, 4, 5]),
            ("4466", 4, &[0, 1, 2, 3]),
            ("44446666", 5, &[0, 1, 2, 4, 5]),
            ("66664444", 5, &[0, 1, 2, 4, 5]),
            ("66666644", 5, &[0, 1, 2, 6, 7]),
            ("46", 1, &[0]),
        ];
        for (families, limit, expected) in cases {
            let mut list = list(families);
            balance(&mut list, limit);
            let kept: Vec<u16> = list.iter().map(|c| c.preference).collect();
            assert_eq!(kept, expected, "{families} limit {limit}");
        }
    }
}
