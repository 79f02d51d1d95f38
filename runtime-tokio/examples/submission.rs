//! Hands a message to a submission server: TLS is demanded and the server verified, and the
//! client logs in.
//!
//! ```text
//! cargo run --example submission -- smtp.example.com me@example.org secret you@example.com < message
//! ```

use std::{
    error::Error,
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use runtime_tokio::Client;
use smtp_policy::{
    config::{MainCf, Protocol},
    dns::ResolverConfig,
    policy::Policy,
    report::Report,
    request::{Recipient, Request},
};
use smtp_proto::Address;

/// The settings for a server with a user's account at it. Its certificate has to have its
/// name, and an issuer out of the PEM file.
pub fn settings(
    (user, password): (&str, &str),
    authorities: &Path,
    resolver: ResolverConfig,
) -> Result<Arc<Policy>, Box<dyn Error>> {
    let authorities = authorities.display();
    let main_cf = format!(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = nexthop\n\
         smtp_tls_CAfile = {authorities}\nsmtp_sasl_auth_enable = yes\n\
         smtp_sasl_security_options = noanonymous, noplaintext\n\
         smtp_sasl_tls_security_options = noanonymous\n\
         smtp_sasl_password_maps = static:{user}:{password}\n"
    );
    let main_cf = MainCf::parse(&main_cf, "main.cf", Path::new("."))?;
    Ok(Arc::new(Policy::new(&main_cf, resolver, &[])?))
}

/// Hands a message to the server, `[host]:port`.
pub async fn submit(
    policy: Arc<Policy>,
    server: &str,
    (from, to): (&str, &str),
    text: Bytes,
) -> Result<Report, Box<dyn Error>> {
    let to = Recipient::from(to.parse::<Address>()?);
    let request = Request::new(Protocol::Smtp, server.parse()?, from.parse()?, vec![to]);
    let client = Client::new(policy);
    let report = client.deliver(request, text, ()).await;
    client.close().await;
    Ok(report)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password, to] = arguments.as_slice() else {
        return Err("usage: submission SERVER USER PASSWORD TO < MESSAGE".into());
    };
    let resolver = ResolverConfig::from_resolv_conf(&fs::read_to_string("/etc/resolv.conf")?);
    let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let policy = settings((user, password), authorities, resolver)?;
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let server = format!("[{server}]:587");
    let report = submit(policy, &server, (user, to), text.into()).await?;
    println!("{report}");
    Ok(())
}
