//! `outpost-queue submit`: messages come into the queue.

use std::io::{self, IsTerminal};

use anyhow::Context;
use outpost::{
    Envelope, EnvelopeId, Message, Notify, Recipient, Ret, address, is_same,
    message::Intake,
    smtp_policy::{
        Protocol,
        request::{Nexthop, TlsWish},
    },
};

use crate::{
    cli::{ProtocolName, SubmitArgs},
    exit::{Exit, Failure, OrExit},
    head,
    output::{Output, complain},
    place::{Missing, Place},
    settings,
    submission::{self, Route},
};

/// Puts the messages of the command line into the queue.
pub(crate) async fn run(args: &SubmitArgs) -> Result<Exit, Failure> {
    let settings = settings::read(&args.place.settings)?;
    let route = route(args, settings.relayhost.as_ref())?;
    let envelope = envelope(args)?;
    let mut messages = Vec::new();
    for message in read(args)? {
        let (mut envelope, mut message) = (envelope.clone(), message);
        if args.extract {
            let found = head::extract(message).or_exit(Exit::Data)?;
            message = found.message;
            add(&mut envelope, found.recipients);
        }
        if envelope.recipients.is_empty() {
            let what = match args.extract {
                true => "no recipient addresses found in the header of the message",
                false => "recipients must be named, or -t be given",
            };
            return Err(Failure::new(Exit::Usage, what));
        }
        let notify = notify(args)?;
        messages.push((envelope.notify(notify), message));
    }
    let store = Place::of(&args.place)?.open(Missing::Make).await?;
    let ids = submission::submit(&store, messages, &route, &settings).await?;
    let mut output = Output::default();
    ids.iter().for_each(|id| output.line(id));
    output.finish(Exit::Ok)
}

fn route(args: &SubmitArgs, relayhost: Option<&Nexthop>) -> Result<Route, Failure> {
    let named = args.nexthop.as_deref().map(Nexthop::parse).transpose();
    let named = named.context("--nexthop").or_exit(Exit::Usage)?;
    Ok(Route {
        protocol: match args.protocol {
            ProtocolName::Smtp => Protocol::Smtp,
            ProtocolName::Lmtp => Protocol::Lmtp,
        },
        nexthop: named.or_else(|| relayhost.cloned()),
    })
}

/// The envelope, as far as the command line has it.
fn envelope(args: &SubmitArgs) -> Result<Envelope, Failure> {
    let mut envelope = Envelope::new(&args.sender, [""; 0]).or_exit(Exit::Usage)?;
    for text in &args.recipients {
        let found = address::parse_list(text)
            .with_context(|| format!("recipient '{text}'"))
            .or_exit(Exit::Usage)?;
        if found.is_empty() {
            let what = format!("recipient '{text}': there is no address in it");
            return Err(Failure::new(Exit::Usage, what));
        }
        add(&mut envelope, found);
    }
    let ret = args.ret.as_deref().map(|text| {
        let wrong = || usage(format!("--ret '{text}': expected full or hdrs"));
        Ret::parse(text).ok_or_else(wrong)
    });
    envelope.ret = ret.transpose()?;
    let envid = args.envid.as_deref().map(envid);
    envelope.envid = envid.transpose()?;
    if args.require_tls {
        envelope.tls = TlsWish::Required;
    }
    Ok(envelope)
}

/// RFC 3461 section 4.4 has the limit.
fn envid(text: &str) -> Result<EnvelopeId, Failure> {
    const LIMIT: usize = 100;
    if text.len() > LIMIT {
        return Err(usage(format!("--envid: it is longer than {LIMIT} bytes")));
    }
    EnvelopeId::parse(text).map_err(|why| usage(format!("--envid: {why}")))
}

fn notify(args: &SubmitArgs) -> Result<Notify, Failure> {
    let Some(text) = &args.notify else {
        return Ok(Notify::NONE);
    };
    let parsed = Notify::parse(text).filter(|notify| !notify.is_none());
    let wrong = || {
        let what = "expected never, or some of delay, failure, success";
        usage(format!("--notify '{text}': {what}"))
    };
    parsed.ok_or_else(wrong)
}

fn usage(what: String) -> Failure {
    Failure::new(Exit::Usage, what)
}

/// Adds recipients that are not there already.
fn add(envelope: &mut Envelope, addresses: Vec<outpost::Address>) {
    for address in addresses {
        let mut known = envelope.recipients.iter();
        if !known.any(|one| is_same(&one.address, &address)) {
            envelope.recipients.push(Recipient::new(address));
        }
    }
}

/// The messages of files, or of standard input.
fn read(args: &SubmitArgs) -> Result<Vec<Message>, Failure> {
    if args.files.is_empty() {
        let input = io::stdin();
        if input.is_terminal() {
            complain("reading the message from the terminal, up to Ctrl-D");
        }
        let message = Message::read_with(input.lock(), Intake::default());
        let message = message.map_err(|error| error.with_origin("from standard input"));
        return Ok(vec![message.or_exit(Exit::Data)?]);
    }
    let open = |path| Message::open(path).or_exit(Exit::Data);
    args.files.iter().map(open).collect()
}
