//! `outpost sendmail`: the command sendmail(1) of Postfix, as far as programs rely on it. It has no queue: the message is
//! handed on before the program ends, to servers or to the queue that an account names.
//!
//! | question | module | Postfix |
//! |---|---|---|
//! | what is asked for? | `options` | `src/sendmail/sendmail.c` |
//! | where does the message end? | `input` | the same |
//! | whose is it, to whom, what has to be changed? | `head` | the same, `src/cleanup/cleanup_message.c` |
//! | how does it go out, and what becomes of it? | `courier` | smtp(8) |
//! | the dialogue of `-bs` | `server`, `session` | smtpd(8), `-S` |

mod courier;
mod head;
mod input;
mod options;
mod server;
mod session;

use std::io::{self, IsTerminal, Read};

use anyhow::Context;
use outpost::{Envelope, Message, Recipient, SizeLimit, message::Intake};
use smtp_policy::request::TlsWish;

pub(crate) use options::arguments;

use crate::{
    account::{Accounts, Chosen, Place, Wish, locate},
    cli::SendmailArgs,
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    output::{Output, complain},
    queue::QueuePlace,
    trace, user,
};
use head::{Head, Origin};
use input::Text;
use options::{Mode, Options};

/// The most mebibytes of a message.
const MEBIBYTES: u64 = 256;

/// Does what sendmail(1) would.
pub(crate) fn run(args: &SendmailArgs) -> Result<Exit, Failure> {
    let options = Options::of(args)?;
    match options.mode {
        Mode::Send => {
            let done = send(args, &options);
            if done.is_err() {
                drain();
            }
            done
        }
        Mode::Smtp => server::run(args),
        Mode::Queue => match queue(args) {
            Some(queue) => queue.list(),
            None => say("Mail queue is empty: outpost has none, and sends each message at once"),
        },
        Mode::Flush => say("Nothing to send: outpost has no queue, and sends each message at once"),
        Mode::Aliases => say("Nothing to build: aliases are read from the accounts file each time"),
        Mode::Nothing => Ok(Exit::Ok),
    }
}

/// The queue of the account that is meant, if it has one. Without accounts there is none.
fn queue(args: &SendmailArgs) -> Option<QueuePlace> {
    let accounts = Accounts::read(&locate(args.file.as_deref()).ok()?).ok()?;
    let wish = Wish {
        account: args.account.clone(),
        user: user::login_name(),
        ..Wish::default()
    };
    match &accounts.choose(wish).ok()?.account.place {
        Place::Queue(queue) => Some(queue.clone()),
        Place::Direct { .. } | Place::Server(_) => None,
    }
}

fn say(what: &str) -> Result<Exit, Failure> {
    let mut output = Output::default();
    output.line(what);
    output.finish(Exit::Ok)
}

/// Reads what is left of standard input, so that the caller sees the exit status rather than a broken
/// pipe.
fn drain() {
    let input = io::stdin();
    if !input.is_terminal() {
        // Nobody waits for more than the biggest message.
        let _ = io::copy(&mut input.lock().take(MEBIBYTES << 20), &mut io::sink());
    }
}

fn send(args: &SendmailArgs, options: &Options) -> Result<Exit, Failure> {
    let accounts = Accounts::read(&locate(args.file.as_deref())?)?;
    let input = io::stdin();
    if input.is_terminal() {
        complain("reading the message from the terminal, up to Ctrl-D");
    }
    let mut text = Text::new(input.lock(), options.dots);
    text.skip_from_lines().or_exit(Exit::Data)?;
    let head = Head::read(&mut text)
        .context("cannot read the message")
        .or_exit(Exit::Data)?;
    let mut recipients = options.recipients.clone();
    if options.extract {
        let found = head.recipients();
        recipients.extend(found.map_err(|why| Failure::new(Exit::Data, why))?);
    }
    if recipients.is_empty() {
        let what = "no recipient addresses found in the header of the message";
        return Err(Failure::new(Exit::Usage, what));
    }
    let chosen = accounts.choose(Wish {
        account: args.account.clone(),
        sender: options.sender.clone(),
        from: head.from(),
        user: user::login_name(),
    })?;
    let recipients = recipients.into_iter().map(|address| {
        let mut recipient = Recipient::new(address);
        recipient.notify = options.notify;
        recipient
    });
    let recipients = courier::with_domains(recipients.collect(), &accounts, chosen.account)?;
    let tls = match (options.require_tls, head.waives_tls()) {
        (true, _) => TlsWish::Required,
        (false, true) => TlsWish::Waived,
        (false, false) => TlsWish::Unsaid,
    };
    let message = message(head, text, &chosen, options.full_name.as_deref())?;
    let mut envelope = Envelope::from_parts(chosen.sender, recipients);
    envelope.envid.clone_from(&options.envid);
    envelope.ret = options.ret;
    envelope.tls = tls;
    let way = chosen.account.way()?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    let report = courier::send(&way, envelope, message, &interrupt)?;
    way.close();
    courier::tell(&report, trace::shows_dialogue());
    Ok(courier::exit_of(&report))
}

/// The message as it goes out.
fn message(
    head: Head,
    text: impl Read,
    chosen: &Chosen<'_>,
    full_name: Option<&str>,
) -> Result<Message, Failure> {
    let host = chosen.account.host_name();
    let full_name = full_name.map(str::to_owned);
    let full_name = full_name
        .or_else(|| chosen.account.full_name.clone())
        .or_else(user::full_name);
    let head = head.finish(&Origin {
        sender: &chosen.sender,
        full_name: full_name.as_deref(),
        host: host.as_str(),
        now: jiff::Zoned::now(),
    });
    let mut intake = Intake::default();
    intake.limit = SizeLimit::mebibytes(MEBIBYTES);
    Message::read_with(head.chain(text), intake)
        .context("cannot read the message")
        .or_exit(Exit::Data)
}
