//! Signs a message with DKIM before it goes out.
//!
//! ```text
//! openssl genpkey -algorithm ed25519 -outform DER -out key.der
//! cargo run --manifest-path docs/dkim/Cargo.toml -- key.der < message.eml
//! ```

use std::io::Read;

use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter},
    dkim::DkimSigner,
};
use outpost::{Envelope, Mailer};

/// Puts a signature before the text of a message. Its line ends become CR LF, since that is how it is
/// signed, and how it goes out.
fn sign(key: &[u8], domain: &str, text: &str) -> Result<String, mail_auth::Error> {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let signer = DkimSigner::from_key(Ed25519Key::from_pkcs8_maybe_unchecked_der(key)?)
        .domain(domain)
        .selector("mail")
        .headers(["From", "To", "Subject", "Date"]);
    let signature = signer.sign(text.as_bytes())?;
    Ok(signature.to_header() + &text)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::fs::read(
        std::env::args_os()
            .nth(1)
            .ok_or("usage: dkim KEY < MESSAGE")?,
    )?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let signed = sign(&key, "example.org", &text).map_err(|why| why.to_string())?;

    let mailer = Mailer::direct("mail.example.org").build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    println!("{}", mailer.send(envelope, signed).await);
    Ok(())
}
