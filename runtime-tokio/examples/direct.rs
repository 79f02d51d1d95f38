//! Delivers a message to the mail exchangers of each recipient's domain, and watches with an
//! observer of its own: verdicts are printed as they fall, and TLS is counted.
//!
//! ```text
//! cargo run --example direct -- me@example.org you@example.com them@example.net < message
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use runtime_tokio::Client;
use smtp_policy::{
    config::{MainCf, Protocol},
    delivery::Observer,
    dns::ResolverConfig,
    event::{Event, Level, Note},
    policy::Policy,
    report::{LogStyle, Outcome, Report},
    request::{RcptIndex, Recipient, Request},
};
use smtp_proto::{Address, ReversePath};

/// The number of handshakes by version and worth of the certificate, such as `TLSv1.3,
/// verified`. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Handshakes(Arc<Mutex<BTreeMap<String, usize>>>);

impl Handshakes {
    /// The counts.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Observer for Handshakes {
    fn settled(&mut self, _: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        println!("{}", LogStyle::default().line(recipient, outcome));
    }

    fn note(&mut self, note: &Note) {
        if let Event::TlsEstablished { tls, .. } = &note.event {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts
                .entry(format!("{}, {}", tls.version, tls.proof()))
                .or_default() += 1;
        }
        if note.level() == Level::Warning {
            println!("warning: {note}");
        }
    }
}

/// The settings of a machine of this name that delivers to mail exchangers.
pub fn settings(host: &str, resolver: ResolverConfig) -> Result<Arc<Policy>, Box<dyn Error>> {
    let main_cf = format!("myhostname = {host}\nsmtp_tls_security_level = may\n");
    let main_cf = MainCf::parse(&main_cf, "main.cf", Path::new("."))?;
    Ok(Arc::new(Policy::new(&main_cf, resolver, &[])?))
}

/// Delivers a message, with a delivery for each domain of its recipients.
pub async fn deliver(
    client: &Client,
    from: &ReversePath,
    to: &[Address],
    text: Bytes,
    watch: &Handshakes,
) -> Result<Report, Box<dyn Error>> {
    let mut domains: BTreeMap<&str, Vec<Recipient>> = BTreeMap::new();
    for to in to {
        let domain = to.domain().ok_or("a recipient has no domain")?;
        domains.entry(domain).or_default().push(to.clone().into());
    }
    let mut report = Report::default();
    for (domain, recipients) in domains {
        let request = Request::new(Protocol::Smtp, domain.parse()?, from.clone(), recipients);
        report.append(client.deliver(request, text.clone(), watch.clone()).await);
    }
    Ok(report)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let from = arguments
        .next()
        .ok_or("usage: direct FROM TO... < MESSAGE")?
        .parse()?;
    let to: Vec<Address> = arguments.map(|to| to.parse()).collect::<Result<_, _>>()?;
    let resolver = ResolverConfig::from_resolv_conf(&fs::read_to_string("/etc/resolv.conf")?);
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let client = Client::new(settings("mail.example.org", resolver)?);
    let watch = Handshakes::default();
    deliver(&client, &from, &to, text.into(), &watch).await?;
    client.close().await;
    println!("{:?}", watch.counts());
    Ok(())
}
