//! Signs a message with DKIM before it goes out.
//!
//! ```text
//! openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out key.pem
//! cargo run -p outpost-book --example signed -- key.pem < message.eml
//! ```

use std::io::Read;

use mailrs_dkim::{DkimError, DkimSigningKey, RsaSigningKey, SignOpts};
use outpost::{Envelope, Mailer};

/// Puts a signature before the text of a message. Its line ends become CR LF, since that is how it is
/// signed, and how it goes out.
pub(crate) fn sign(pem: &str, domain: &str, text: &str) -> Result<String, DkimError> {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let key = DkimSigningKey::Rsa(RsaSigningKey::from_pkcs8_pem(pem)?);
    // The second From says that there is no other one.
    let fields = ["From", "From", "To", "Subject", "Date", "Message-ID"];
    let options = SignOpts::new(domain, "mail").signed_headers(fields);
    let signature = mailrs_dkim::sign(text.as_bytes(), &key, &options)?;
    Ok(signature + &text)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1);
    let pem = std::fs::read_to_string(path.ok_or("usage: signed KEY < MESSAGE")?)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let signed = sign(&pem, "example.org", &text)?;

    let mailer = Mailer::direct("mail.example.org").build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    println!("{}", mailer.send(envelope, signed).await);
    mailer.close().await;
    Ok(())
}
