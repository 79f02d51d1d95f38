//! Helpers for the tests of phases: a context of a small request, servers to try, and what a
//! phase has said to the driver, in words.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use smtp_proto::{
    address::{Address, ReversePath},
    session::{Need, Step},
    time::Time,
};

use super::{
    Ask, Level,
    attempt::Attempt,
    choosing::Choosing,
    context::Context,
    hosts::{Place, Site},
    phase::{Answer, Course, Next, Phase},
    talking::Talking,
};
use crate::{
    Protocol,
    channel::Channel,
    policy::Policy,
    request::{Recipient, Request},
    route::Candidate,
    settings::{Groups, Settings},
    tls::{TlsLevel, policy::TlsPolicy},
};

const LETTER: &[u8] = b"Subject: hi\n\nhello\n";

/// A context of a request to so many recipients, under defaults.
pub(super) fn context(recipients: usize) -> Context {
    context_for("example.com", recipients)
}

/// The same with another next hop.
pub(super) fn context_for(nexthop: &str, recipients: usize) -> Context {
    let to = |number| Recipient::new(Address::parse(&format!("user{number}@example.com")).unwrap());
    let sender = ReversePath::parse("from@example.org").unwrap();
    let to = (0..recipients).map(to).collect();
    let request = Request::new(Protocol::Smtp, nexthop.parse().unwrap(), sender, to);
    let mut settings = Settings::smtp();
    settings.tls.level = TlsLevel::None;
    let policy = Arc::new(Policy::new(settings.build().unwrap()));
    let mut cx = Context::new(request, policy, 7);
    cx.set_now(Time::ZERO);
    cx
}

/// Changes the settings of a context.
pub(super) fn configure(cx: &mut Context, change: impl FnOnce(&mut Groups)) {
    change(Arc::make_mut(&mut cx.settings).groups_mut());
}

/// A server at an address, with a preference.
pub(super) fn candidate(address: &str, preference: u16) -> Candidate {
    Candidate {
        host: "mx.example".into(),
        address: address.parse().unwrap(),
        port: 25,
        preference,
        host_validated: false,
        mx_validated: false,
        asked: "mx.example".into(),
        canonical: "mx.example".into(),
    }
}

/// A destination with these servers, all of the same preference.
pub(super) fn site(addresses: &[&str]) -> Site {
    let places = addresses.iter();
    let places = places.map(|address| Place::Inet(candidate(address, 10)));
    Site::new(places.collect(), 10, true)
}

/// An attempt at a server, without TLS.
pub(super) fn attempt(cx: &Context) -> Box<Attempt> {
    let place = Place::Inet(candidate("192.0.2.1", 10));
    let site = site(&[]);
    Box::new(Attempt::new(cx, &site, place, TlsPolicy::default(), None))
}

/// A dialogue on a new connection, without TLS.
pub(super) fn talking(cx: &Context) -> Box<Talking> {
    Talking::begin(cx, attempt(cx))
}

/// A connection whose server has greeted, and offered these keywords.
pub(super) fn channel_offering(cx: &Context, keywords: &[&str]) -> Box<Channel> {
    let mut channel = talking(cx).into_channel();
    let mut hello = String::from("250-mx.example\r\n");
    keywords
        .iter()
        .for_each(|word| hello.push_str(&format!("250-{word}\r\n")));
    hello.push_str("250 HELP\r\n");
    let mut said = ["220 mx.example ESMTP\r\n".to_owned(), hello].into_iter();
    loop {
        match channel.poll(Time::ZERO) {
            Step::Need(Need::Negotiation) => return channel,
            Step::Wait { .. } => channel.receive(said.next().unwrap().as_bytes()),
            Step::Send { .. } => {
                let output = channel.output();
                output.advance(output.remaining());
            }
            Step::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Returns what a client has said to a server that says this, one reply for each time that the
/// client waits; and what became of the recipients. The letter is given whenever text is
/// asked for.
pub(super) fn converse(cx: &mut Context, course: &mut Course, replies: &[&str]) -> Vec<String> {
    let mut replies = replies.iter();
    let mut heard = Vec::new();
    loop {
        let ask = cx.next_ask().or_else(|| course.poll(cx));
        match ask {
            None => {}
            Some(ask) if is_fact(&ask) => {}
            Some(Ask::Send { .. }) => {
                let output = course.channel().unwrap().output();
                let text = output.copy_to_bytes(output.remaining());
                let text = String::from_utf8_lossy(&text).into_owned();
                heard.extend(text.lines().map(str::to_owned));
            }
            Some(Ask::Wait { .. }) => match replies.next() {
                Some(reply) => course.channel().unwrap().receive(reply.as_bytes()),
                None => return heard,
            },
            Some(Ask::Text { offset, .. }) => {
                let offset = usize::try_from(offset).unwrap();
                let chunk = Bytes::from_static(LETTER).slice(offset..);
                course.answer(Answer::Text(chunk.clone()));
                // Once more is once too often.
                course.answer(Answer::Text(chunk));
            }
            Some(Ask::Done) => return heard,
            Some(ask) => heard.push(word(&ask)),
        }
    }
}

/// A course that is in this phase.
pub(super) fn course(phase: impl Into<Phase>) -> Course {
    Course::at(phase.into())
}

/// Polls until something is asked; in words.
pub(super) fn next(cx: &mut Context, course: &mut Course) -> String {
    loop {
        if let Some(ask) = cx.next_ask().or_else(|| course.poll(cx))
            && !is_fact(&ask)
        {
            return word(&ask);
        }
    }
}

/// Returns whether nobody would log this.
fn is_fact(ask: &Ask) -> bool {
    matches!(ask, Ask::Note(note) if note.level() == Level::Trace)
}

/// A question, in words.
pub(super) fn word(ask: &Ask) -> String {
    match ask {
        Ask::Report(index, outcome) => {
            format!(
                "{index} {} {} ({})",
                outcome.word, outcome.code, outcome.text
            )
        }
        Ask::Note(note) => format!("{:?}: {note}", note.level()),
        Ask::Send { .. } => "send".into(),
        Ask::Wait { .. } => "wait".into(),
        Ask::Text { offset, .. } => format!("text from {offset}"),
        Ask::Keep(..) => "keep".into(),
        Ask::Close => "close".into(),
        Ask::Done => "done".into(),
        question => question.question().unwrap_or_default(),
    }
}

/// Returns what has been put before the driver, in words.
pub(super) fn asked(cx: &mut Context) -> Vec<String> {
    core::iter::from_fn(|| cx.pop_ask())
        .filter(|ask| !is_fact(ask))
        .map(|ask| word(&ask))
        .collect()
}

/// The phase that is next; asking for something is a mistake.
pub(super) fn go(next: Next) -> Phase {
    match next {
        Next::Go(phase) => phase,
        other => panic!("{other:?}"),
    }
}

/// Polls the phase between two attempts.
pub(super) fn choose(cx: &mut Context) -> Phase {
    go(Choosing.poll(cx))
}
