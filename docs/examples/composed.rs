//! Messages that other libraries compose go in with one call: lettre's, and those of mail-builder.
//!
//! ```text
//! cargo run -p outpost-book --example composed
//! ```

use mail_builder::MessageBuilder;
use outpost::{Envelope, Mailer, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mailer = Mailer::direct("mail.example.org").build()?;

    let email = lettre::Message::builder()
        .from("Me <me@example.org>".parse()?)
        .to("Ann <ann@example.com>".parse()?)
        .subject("hello")
        .body("Hi there.\n".to_owned())?;
    let envelope = Envelope::try_from(email.envelope())?;
    println!("{}", mailer.send(envelope, email).await);

    let text = MessageBuilder::new()
        .from(("Me", "me@example.org"))
        .to(("Ann", "ann@example.com"))
        .subject("hello")
        .text_body("Hi there.\n")
        .write_to_vec()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    println!("{}", mailer.send(envelope, Message::from(text)).await);

    mailer.close().await;
    Ok(())
}
