//! Shows the spans and events of a delivery: one span for each delivery, in it one for each connection.
//!
//! ```text
//! RUST_LOG=outpost=debug cargo run -p outpost-book --example spans
//! ```

use outpost::{Envelope, Mailer};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .init();

    let mailer = Mailer::direct("mail.example.org").build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    println!(
        "{}",
        mailer.send(envelope, "Subject: hello\n\nHi there.\n").await
    );
    Ok(())
}
