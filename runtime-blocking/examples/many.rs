//! Delivers the same message a hundred times, on thirty threads.
//!
//! ```text
//! cargo run --example many-blocking -- '[127.0.0.1]:2525' user@example.com
//! ```
//!
//! Messages are taken from an iterator as others end. The client holds back what is more than
//! its limit of deliveries to one destination, here 20.

use std::{env, error::Error, fs, sync::Arc};

use bytes::Bytes;
use runtime_blocking::Client;
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    driver::Submission,
    policy::Policy,
    report::Status,
    request::{Recipient, Request},
    settings::Settings,
};
use smtp_proto::address::{Address, ReversePath};

/// The number of messages.
const MANY: usize = 100;
/// The number of threads.
const AT_ONCE: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(nexthop), Some(recipient)) = (arguments.next(), arguments.next()) else {
        return Err("usage: many DESTINATION RECIPIENT".into());
    };
    let mut settings = Settings::smtp();
    settings.limits.concurrency = 20;
    let resolver = ResolverConfig::from_resolv_conf(&fs::read_to_string("/etc/resolv.conf")?);
    let client = Client::new(Arc::new(
        Policy::new(settings.build()?).with_resolver(resolver),
    ));

    let text = Bytes::from_static(b"Subject: one of many\n\nHello.\n");
    let recipients = vec![Recipient::new(Address::parse(&recipient)?)];
    let request = Request::new(
        Protocol::Smtp,
        nexthop.parse()?,
        ReversePath::Null,
        recipients,
    );
    let mut sent = 0;
    let submissions = (0..MANY).map(|_| Submission::new(request.clone(), text.clone()));
    client.deliver_all(submissions, AT_ONCE, |number, report| {
        println!("message {number}: {:?}", report.recipients);
        sent += usize::from(report.all(Status::Sent));
    });
    println!("{sent} of {MANY} were sent");
    client.close();
    Ok(())
}
