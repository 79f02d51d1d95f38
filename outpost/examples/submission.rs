//! Sends a message through a submission server: TLS is demanded, the server verified, and the
//! client logs in.
//!
//! ```text
//! SMTP_PASSWORD=secret cargo run -p outpost-mail --example submission
//! ```

use outpost::{Envelope, Mailer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mailer = Mailer::submission("smtp.example.com")
        .credentials("me@example.org", std::env::var("SMTP_PASSWORD")?)
        .build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com", "bob@example.net"])?;
    let report = mailer.send(envelope, "Subject: hello\n\nHi there.\n").await;
    println!("{report}");
    Ok(())
}
