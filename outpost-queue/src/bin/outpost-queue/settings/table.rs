//! The names that the queue knows, each in one row: its default, its reader, and what it is for. The names of the delivery
//! client (`smtp_*`, `lmtp_*`, `relayhost`, `myhostname`) are not here: `postfix-config` has them.

use std::time::Duration;

use outpost_queue::rules::{Rules, suppression::Suppression};

use super::{
    dkim::Dkim,
    grammar::{Wrong, doubt, feedback, lifetime, number, some_time, time},
};

/// The values that the rows set.
#[derive(Clone, Debug)]
pub(crate) struct Queueing {
    /// The rules by which the queue decides.
    pub(crate) rules: Rules,
    /// The name of the mail system in reports.
    pub(crate) mail_name: String,
    /// The most bytes of a message that a report returns.
    pub(crate) bounce_size: u32,
    /// The time for which finished messages are kept.
    pub(crate) keep: Duration,
    /// The time that a message may take to arrive.
    pub(crate) arrival: Duration,
    /// The store; empty: the default one.
    pub(crate) store: String,
    /// The signature of reports about TLS.
    pub(crate) dkim: Dkim,
}

impl Default for Queueing {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            mail_name: "Outpost".to_owned(),
            bounce_size: 50_000,
            keep: Duration::from_secs(7 * 86_400),
            arrival: Duration::from_secs(86_400),
            store: String::new(),
            dkim: Dkim::default(),
        }
    }
}

/// A parameter.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// The text of its default.
    pub(crate) default: &'static str,
    /// Its description, for people.
    pub(crate) about: &'static str,
    /// Reads a value.
    pub(crate) read: fn(&mut Queueing, &str) -> Result<(), Wrong>,
}

macro_rules! rows {
    ($($name:literal = $default:literal, $about:literal: |$to:ident, $text:ident| $read:expr;)*) => {
        &[$(Row {
            name: $name,
            default: $default,
            about: $about,
            read: |$to, $text| { $read; Ok(()) },
        }),*]
    };
}

/// All of them, in the order in which people look for them.
pub(crate) const ROWS: &[Row] = rows! {
    "minimal_backoff_time" = "300s", "shortest time between two attempts, and rest of a dead destination":
        |to, text| to.rules.schedule.minimal_backoff = some_time(text, "s")?;
    "maximal_backoff_time" = "4000s", "longest time between two attempts":
        |to, text| to.rules.schedule.maximal_backoff = some_time(text, "s")?;
    "maximal_queue_lifetime" = "5d", "age from which mail is given up; 0: after one attempt":
        |to, text| to.rules.schedule.maximal_lifetime = lifetime(text)?;
    "bounce_queue_lifetime" = "5d", "the same for mail of the null sender":
        |to, text| to.rules.schedule.bounce_lifetime = lifetime(text)?;
    "delay_warning_time" = "0h", "age from which the sender is told that mail waits; 0: never":
        |to, text| to.rules.schedule.delay_warning = Some(time(text, "h")?).filter(|time| !time.is_zero());
    "initial_destination_concurrency" = "5", "deliveries at a time to a destination that nothing is known of":
        |to, text| to.rules.concurrency.initial = number(text, 1)?;
    "default_destination_concurrency_limit" = "20", "most deliveries at a time to a destination; 0: no limit":
        |to, text| to.rules.concurrency.limit = number(text, 0)?;
    "default_destination_concurrency_positive_feedback" = "1", "growth of that number by a delivery":
        |to, text| to.rules.concurrency.positive = feedback(text)?;
    "default_destination_concurrency_negative_feedback" = "1", "its loss by a failure of the destination":
        |to, text| to.rules.concurrency.negative = feedback(text)?;
    "default_destination_concurrency_failed_cohort_limit" = "1", "failures, in numbers of deliveries at a time, after which a destination is dead; 0: never":
        |to, text| to.rules.concurrency.failed_cohorts = number(text, 0)?;
    "default_destination_rate_delay" = "0s", "pause between two deliveries to a destination; 0: none":
        |to, text| to.rules.concurrency.rate_delay = time(text, "s")?;
    "mail_name" = "Outpost", "name of the mail system in reports":
        |to, text| to.mail_name = line(text)?;
    "bounce_size_limit" = "50000", "most bytes of a message that a report returns; of a larger one its header; 0: 16 MiB":
        |to, text| to.bounce_size = number(text, 0)?;
    "queue_doubt" = "retry", "retry or hold recipients who may have the message already":
        |to, text| to.rules.doubt = doubt(text)?;
    "queue_lease_time" = "60s", "time after which a worker that is silent has lost its tasks":
        |to, text| to.rules.lease = some_time(text, "s")?;
    "queue_death_limit" = "3", "workers in a row that a task may kill before it is set aside":
        |to, text| to.rules.deaths = number(text, 1)?;
    "queue_keep_time" = "7d", "time for which finished messages are kept, without their text":
        |to, text| to.keep = time(text, "d")?;
    "queue_arrival_time" = "1d", "time that a message may take to arrive before it is removed":
        |to, text| to.arrival = some_time(text, "d")?;
    "queue_suppression_time" = "0", "time for which an address that bounced hard gets no mail; 0: none is taken down":
        |to, text| to.rules.suppression = suppression(text)?;
    "queue_tls_report_dkim_key_file" = "", "private key (PEM) that signs reports about TLS, for the owner of the file alone; empty: nothing signs them":
        |to, text| to.dkim.key_file = line_or_nothing(text)?;
    "queue_tls_report_dkim_selector" = "", "name of the record of that key, before ._domainkey":
        |to, text| to.dkim.selector = line_or_nothing(text)?;
    "queue_tls_report_dkim_domain" = "", "domain that signs, which myhostname has to be or to be in; empty: myhostname":
        |to, text| to.dkim.domain = line_or_nothing(text)?;
    "queue_store" = "", "the store, where neither --store nor OUTPOST_STORE names it":
        |to, text| to.store = text.trim().to_owned();
};

fn suppression(text: &str) -> Result<Option<Suppression>, Wrong> {
    let mut suppression = Suppression::default();
    suppression.time = time(text, "d")?;
    Ok(Some(suppression).filter(|one| !one.time.is_zero()))
}

fn line(text: &str) -> Result<String, Wrong> {
    match line_or_nothing(text)? {
        text if text.is_empty() => Err("it is empty".to_owned()),
        text => Ok(text),
    }
}

/// The same, which may be empty.
fn line_or_nothing(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    match text.contains(char::is_control) {
        true => Err("it has control characters in it".to_owned()),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_rules() {
        let mut read = Queueing::default();
        for row in ROWS {
            (row.read)(&mut read, row.default).unwrap();
        }
        let usual = Queueing::default();
        assert_eq!(read.rules, usual.rules);
        assert_eq!(
            (read.keep, read.arrival, read.bounce_size, read.mail_name),
            (
                usual.keep,
                usual.arrival,
                usual.bounce_size,
                usual.mail_name
            )
        );
    }

    #[test]
    fn every_row_refuses_what_makes_no_sense() {
        for row in ROWS {
            let mut read = Queueing::default();
            let refused = (row.read)(&mut read, "\u{7}x").is_err();
            assert!(refused || row.name == "queue_store", "{}", row.name);
        }
    }
}
