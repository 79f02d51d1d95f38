//! Delivers the same message a hundred times, thirty at once.
//!
//! ```text
//! cargo run --example many-tokio -- '[127.0.0.1]:2525' user@example.com
//! ```
//!
//! Messages are taken from a stream as others end. The client holds back what is more than
//! its limit of deliveries to one destination, here 20.

use std::{env, error::Error, fs, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use runtime_tokio::Client;
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
/// The number of deliveries at once.
const AT_ONCE: usize = 30;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
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
    let submissions = (0..MANY).map(|_| Submission::new(request.clone(), text.clone()));
    let mut reports = pin!(client.deliver_all(stream::iter(submissions), AT_ONCE));
    let mut sent = 0;
    while let Some((number, report)) = reports.next().await {
        println!("message {number}: {:?}", report.recipients);
        sent += usize::from(report.all(Status::Sent));
    }
    println!("{sent} of {MANY} were sent");
    client.close().await;
    Ok(())
}
