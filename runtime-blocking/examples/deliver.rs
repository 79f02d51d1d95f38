//! Delivers one message to one address.
//!
//! ```text
//! cargo run --example deliver-blocking -- example.com sender@example.org user@example.com < message
//! ```
//!
//! The destination is written as in Postfix's transport table: a domain, or
//! `[host]:port` for a server without MX lookup. Lines of the message end in LF.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;
use runtime_blocking::Client;
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    policy::Policy,
    request::{Recipient, Request},
    settings::Settings,
};
use smtp_proto::address::{Address, ReversePath};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(nexthop), Some(sender), Some(recipient)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: deliver DESTINATION SENDER RECIPIENT < MESSAGE".into());
    };
    let settings = Settings::smtp().build()?;
    let resolver = ResolverConfig::from_resolv_conf(&fs::read_to_string("/etc/resolv.conf")?);
    let client = Client::new(Arc::new(Policy::new(settings).with_resolver(resolver)));

    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let recipients = vec![Recipient::new(Address::parse(&recipient)?)];
    let request = Request::new(
        Protocol::Smtp,
        nexthop.parse()?,
        ReversePath::parse(&sender)?,
        recipients,
    );
    let report = client.deliver(request, Bytes::from(text), ());
    for (recipient, outcome) in &report.recipients {
        let address = recipient.address.as_str();
        println!(
            "{address}: {} {} ({})",
            outcome.word, outcome.code, outcome.text
        );
    }
    client.close();
    Ok(())
}
