//! A queue in memory: recipients who are deferred are tried again later, each message for itself.
//!
//! ```text
//! SMTP_PASSWORD=secret cargo run -p outpost-book --example retry_queue -- you@example.com < message.eml
//! ```

use std::{error::Error, future::Future, time::Duration};

use outpost::{Envelope, Mailer, Message, Outcome, Recipient, Report, Status};

// ANCHOR: post
/// The outside of the queue: a mailer and a clock. A test puts a simulated world in its place.
pub trait Post {
    /// Delivers a message once.
    fn send(&self, envelope: Envelope, message: Message) -> impl Future<Output = Report> + Send;
    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

impl Post for Mailer {
    fn send(&self, envelope: Envelope, message: Message) -> impl Future<Output = Report> + Send {
        Mailer::send(self, envelope, message)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}
// ANCHOR_END: post

// ANCHOR: queue
/// The rule for recipients who may have the message already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// They get it again: twice is better than never.
    TryAgain,
    /// They are left to a person: never is better than twice.
    Stop,
}

/// The pauses between six tries, in seconds: about four hours in all.
const PAUSES: [u64; 5] = [60, 300, 900, 3600, 10_800];

/// Delivers a message until every recipient is sent, bounced, in doubt, or was tried often enough.
/// Returns the last verdict on each.
pub async fn deliver(
    post: &impl Post,
    mut envelope: Envelope,
    message: Message,
    doubt: Doubt,
) -> Vec<(Recipient, Outcome)> {
    let mut decided = Vec::new();
    let mut pauses = PAUSES.into_iter();
    loop {
        let report = post.send(envelope.clone(), message.clone()).await;
        let (again, done): (Vec<_>, Vec<_>) = report
            .recipients
            .into_iter()
            .partition(|(_, outcome)| is_worth_another_try(outcome, doubt));
        decided.extend(done);
        let pause = pauses.next().filter(|_| !again.is_empty());
        let Some(pause) = pause else {
            decided.extend(again);
            return decided;
        };
        envelope.recipients = again.into_iter().map(|(recipient, _)| recipient).collect();
        post.sleep(Duration::from_secs(pause)).await;
    }
}

fn is_worth_another_try(outcome: &Outcome, doubt: Doubt) -> bool {
    let stops = outcome.uncertain && doubt == Doubt::Stop;
    outcome.status == Status::Deferred && !stops
}
// ANCHOR_END: queue

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mailer = Mailer::submission("smtp.example.com")
        .credentials("me@example.org", std::env::var("SMTP_PASSWORD")?)
        .build()?;
    let envelope = Envelope::new("me@example.org", std::env::args().skip(1))?;
    let message = Message::read(std::io::stdin())?;
    for (recipient, outcome) in deliver(&mailer, envelope, message, Doubt::Stop).await {
        let doubt = if outcome.uncertain { ", or sent" } else { "" };
        println!(
            "{}: {}{doubt} ({})",
            recipient.address, outcome.status, outcome.text
        );
    }
    Ok(())
}
// ANCHOR_END: main
