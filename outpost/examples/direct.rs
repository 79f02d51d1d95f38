//! Delivers a message to the mail exchangers of each recipient's domain, and says what became of
//! each recipient.
//!
//! ```text
//! cargo run -p outpost-mail --example direct < message.eml
//! ```

use outpost::{Envelope, Mailer, Message, Status};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mailer = Mailer::direct("mail.example.org").build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com", "bob@example.net"])?;
    let message = Message::read(std::io::stdin())?;
    let report = mailer.send(envelope, message).await;
    for (recipient, outcome) in report.recipients {
        match outcome.status {
            Status::Sent => println!("{} was sent by {}", recipient.address, outcome.relay),
            status => println!("{} was {status}: {}", recipient.address, outcome.text),
        }
    }
    Ok(())
}
