//! `outpost-queue submit`: messages come into the queue.

use std::{
    collections::HashSet,
    io::{self, BufRead, IsTerminal, Read},
};

use anyhow::Context;
use outpost::{
    Address, Envelope, EnvelopeId, Message, Notify, Recipient, Ret, address,
    message::Intake,
    smtp_policy::{
        Protocol,
        request::{Nexthop, Request, TlsWish},
    },
};

use crate::{
    cli::{ProtocolName, SubmitArgs},
    exit::{Exit, Failure, OrExit},
    head,
    output::{Output, complain},
    place::{Missing, Place},
    settings::{self, Settings},
    submission::{self, Route},
};

/// The most bytes of an envelope: that of 100,000 recipients has about 10 MB.
const HEAD: u64 = 64 << 20;

/// Puts the messages of the command line into the queue.
pub(crate) async fn run(args: &SubmitArgs) -> Result<Exit, Failure> {
    let settings = settings::read(&args.place.settings)?;
    let route = route(args, &settings)?;
    let store = Place::of(&args.place)?;
    let messages = match args.pipe {
        true => vec![piped()?],
        false => named(args)?,
    };
    let store = store.open(Missing::Make).await?;
    let ids = submission::submit(&store, messages, &route, &settings).await?;
    let mut output = Output::default();
    ids.iter().for_each(|id| output.line(id));
    output.finish(Exit::Ok)
}

/// The message of standard input with the envelope before it: what a request has of one.
fn piped() -> Result<(Envelope, Message), Failure> {
    let mut input = io::stdin().lock();
    let mut head = Vec::new();
    (&mut input)
        .take(HEAD)
        .read_until(b'\n', &mut head)
        .context("standard input")
        .or_exit(Exit::Data)?;
    let request: Request = serde_json::from_slice(&head)
        .context("the envelope on standard input")
        .or_exit(Exit::Data)?;
    let mut envelope = Envelope::from_parts(request.sender, request.recipients);
    envelope.envid = request.envid;
    envelope.ret = request.ret;
    envelope.tls = request.tls;
    if envelope.recipients.is_empty() {
        let what = "the envelope on standard input has no recipient";
        return Err(Failure::new(Exit::Data, what));
    }
    Ok((envelope, from_input(input)?))
}

/// The messages of the command line with their envelopes.
fn named(args: &SubmitArgs) -> Result<Vec<(Envelope, Message)>, Failure> {
    let envelope = envelope(args)?;
    let mut messages = Vec::new();
    for message in read(args)? {
        let (mut envelope, mut message) = (envelope.clone(), message);
        if args.extract {
            let found = head::extract(message).or_exit(Exit::Data)?;
            message = found.message;
            add(&mut envelope, found.recipients);
        }
        leave_one_of_each(&mut envelope.recipients);
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
    Ok(messages)
}

fn route(args: &SubmitArgs, settings: &Settings) -> Result<Route, Failure> {
    let protocol = match args.protocol {
        ProtocolName::Smtp => Protocol::Smtp,
        ProtocolName::Lmtp => Protocol::Lmtp,
    };
    let parse = |named: &str| {
        let wrong = |why: String| usage(format!("--nexthop '{named}': {why}"));
        let understood = settings.policy.destinations(protocol, named);
        understood.map_err(|why| wrong(why.to_string()))?;
        Nexthop::parse(named).map_err(|why| wrong(why.to_string()))
    };
    let named = args.nexthop.as_deref().map(parse).transpose()?;
    Ok(Route {
        protocol,
        nexthop: named.or_else(|| settings.relayhost.clone()),
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

/// Adds recipients.
fn add(envelope: &mut Envelope, addresses: Vec<Address>) {
    let new = addresses.into_iter().map(Recipient::new);
    envelope.recipients.extend(new);
}

/// Leaves one of each recipient, the first: domains have no case, local parts may.
fn leave_one_of_each(recipients: &mut Vec<Recipient>) {
    let mut known = HashSet::new();
    recipients.retain(|one| {
        let domain = one.address.domain().map(str::to_lowercase);
        known.insert((one.address.local_part().to_owned(), domain))
    });
}

fn from_input(input: impl Read) -> Result<Message, Failure> {
    let message = Message::read_with(input, Intake::default());
    let message = message.map_err(|error| error.with_origin("from standard input"));
    message.or_exit(Exit::Data)
}

/// The messages of files, or of standard input.
fn read(args: &SubmitArgs) -> Result<Vec<Message>, Failure> {
    if args.files.is_empty() {
        let input = io::stdin();
        if input.is_terminal() {
            complain("reading the message from the terminal, up to Ctrl-D");
        }
        return Ok(vec![from_input(input.lock())?]);
    }
    let open = |path| Message::open(path).or_exit(Exit::Data);
    args.files.iter().map(open).collect()
}
