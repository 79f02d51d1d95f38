//! A notice to the postmaster about a task that was set aside.

use std::fmt::Write;

use smtp_policy::{
    report::printable,
    request::{Recipient, TlsWish},
};
use smtp_proto::Address;

use super::{Context, date, letter::submission};
use crate::{
    model::{Hold, Message, QueuedRecipient, Task, Timestamp},
    operation::{Addressee, Submission},
};

/// The most recipients that a notice names.
const NAMED: usize = 100;

/// The subject of a notice to the postmaster.
pub(crate) struct Notice<'a> {
    pub(crate) hold: Hold,
    pub(crate) task: &'a Task,
    pub(crate) message: &'a Message,
    /// Recipients who wait.
    pub(crate) recipients: &'a [QueuedRecipient],
}

impl Context {
    /// The address that hears of tasks that are held for this reason.
    pub(crate) fn hears_of(&self, hold: Hold) -> Option<&Address> {
        let wanted = match hold {
            Hold::Operator => false,
            Hold::Doubt => self.doubt_notices,
            Hold::Poison => true,
        };
        self.postmaster.as_ref().filter(|_| wanted)
    }
}

impl Notice<'_> {
    /// The notice, as a message of the queue.
    pub(crate) fn write(&self, context: &Context, to: &Address, now: Timestamp) -> Submission {
        let text = self.text(context, to, now);
        let smtputf8 = !to.is_ascii();
        let addressee = Addressee {
            recipient: Recipient::new(to.clone()),
            destination: (context.route)(to),
        };
        submission(text.into(), smtputf8, TlsWish::Unsaid, addressee)
    }

    fn text(&self, context: &Context, to: &Address, now: Timestamp) -> String {
        let Self { task, message, .. } = self;
        let (id, host) = (message.id, printable(&context.myhostname));
        let body = self.body(context);
        let mut text = format!("Date: {}\n", date(now));
        let from = printable(&context.from);
        let _ = writeln!(text, "From: Mail Delivery System <{from}>");
        let _ = writeln!(text, "To: Postmaster <{}>", printable(&to.quoted_822()));
        let _ = writeln!(
            text,
            "Subject: {}: message {id} was set aside",
            printable(&context.mail_name)
        );
        let _ = writeln!(
            text,
            "Message-ID: <{}.{id}.{}@{host}>",
            now.micros(),
            task.id
        );
        text.push_str("Auto-Submitted: auto-generated\nMIME-Version: 1.0\n");
        let (charset, encoding) = match body.is_ascii() {
            true => ("us-ascii", "7bit"),
            false => ("utf-8", "8bit"),
        };
        let _ = writeln!(text, "Content-Type: text/plain; charset={charset}");
        let _ = writeln!(text, "Content-Transfer-Encoding: {encoding}\n");
        text.push_str(&body);
        text
    }

    fn body(&self, context: &Context) -> String {
        let Self { task, message, .. } = self;
        let name = printable(&context.mail_name);
        let why = match self.hold {
            Hold::Poison if task.deaths == 0 => {
                "It cannot be delivered as it is kept: what was kept of it is damaged."
            }
            Hold::Poison => {
                "The workers that tried it died, one after the other. It may be what kills\n\
                 them."
            }
            Hold::Doubt => {
                "A server may have the message: the connection broke, or the worker died, before\n\
                 the end of the text was answered."
            }
            Hold::Operator => "An operator wanted it.",
        };
        let mut text = format!(
            "This is the {name} mail system at host {}.\n\n\
             A message was set aside. Nobody tries it again until somebody releases or\n\
             cancels it.\n\n{why}\n\n",
            printable(&context.myhostname)
        );
        let sender = printable(&message.sender);
        let _ = writeln!(text, "Queue id:    {}", message.id);
        let _ = writeln!(text, "Arrived:     {}", date(message.arrived));
        let _ = writeln!(text, "Size:        {} bytes", message.size);
        let _ = writeln!(text, "Sender:      <{sender}>");
        let _ = writeln!(
            text,
            "Destination: {}",
            printable(task.destination.as_str())
        );
        let _ = writeln!(text, "Deaths:      {}\n\nRecipients:", task.deaths);
        for one in self.recipients.iter().take(NAMED) {
            let doubt = if one.doubtful { " (may have it)" } else { "" };
            let address = one.recipient.address.as_str();
            let _ = writeln!(text, "  <{}>{doubt}", printable(address));
        }
        if let Some(others) = self.recipients.len().checked_sub(NAMED).filter(|n| *n > 0) {
            let _ = writeln!(text, "  and {others} more");
        }
        text
    }
}
