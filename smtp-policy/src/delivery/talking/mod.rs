//! The dialogue with one server, seen from above: what to answer when the session
//! needs a decision, and what its replies mean for the recipients
//! (`src/smtp/smtp_proto.c`, smtp_helo and smtp_xfer).
//!
//! The parts of the dialogue are machines of their own: [`Tls`], [`Login`], [`Text`]; what the
//! session tells is in [`heard`].

mod closing;
mod envelope;
mod greet;
mod heard;
mod login;
mod records;
mod replies;
mod text;
mod tls;
mod tls_report;
mod transfer;

use smtp_proto::{
    reply::Reply,
    session::{self, Closed, Need, Session, Step, Taken},
    time::Time,
};

pub(super) use self::{
    login::{Login, account_search},
    tls::Tls,
    tls_report::note_tls_result,
};
use self::{records::Records, text::Text};
use super::{
    Ask,
    attempt::Attempt,
    context::Context,
    hosts::Place,
    phase::{Next, Stop},
    roll::Batch,
    settle::{Origin, Whom},
};
use crate::{
    channel::{Channel, Peer},
    report::{Relay, trouble::Reason},
    tables::TableFailure,
};

/// An open connection and how far the present message has come on it.
#[derive(Debug)]
pub(super) struct Talking {
    channel: Box<Channel>,
    progress: Progress,
    login: Login,
    tls: Tls,
    records: Records,
    /// A failure blamed on the site or the session: the connection is not kept.
    throttled: bool,
    /// The place to try again in plaintext, if this is a new connection.
    place: Option<Place>,
    /// Says whether the session counts towards the limit on sessions.
    counted: bool,
    /// When MAIL was said.
    set_up: Option<Time>,
    /// Says whether the connection may be kept at all.
    keepable: bool,
    /// A table could not say which EHLO keywords are to be discarded.
    keywords_failed: Option<TableFailure>,
    /// The server has announced keywords: EHLO or LHLO succeeded.
    announced: bool,
}

/// The progress of a message on a connection.
#[derive(Debug)]
enum Progress {
    /// A kept connection is being asked whether it is alive.
    Probing {
        /// The attempt to make if it turns out to be dead.
        instead: Option<Box<Attempt>>,
        /// The answer to the probe.
        said: Option<Reply>,
    },
    /// Greeting and hello.
    Greeting,
    /// The transaction is under way.
    Transfer {
        /// The recipients of the transaction.
        recipients: Batch,
        text: Text,
    },
    /// Nothing more is to be done for this message.
    Over,
}

/// The next step of a dialogue.
enum Turn {
    /// Asks the driver for this.
    Ask(Ask),
    /// Looks at the session again.
    Again,
    /// It has taken too long.
    Overdue,
    /// The transaction is over, and the connection may be kept.
    Keep,
    /// The session has ended.
    Closed(Closed),
}

impl Talking {
    /// A dialogue on a connection that was opened just now.
    pub(super) fn begin(cx: &Context, attempt: Box<Attempt>) -> Box<Self> {
        let Attempt {
            peer,
            lookups,
            tls,
            place,
        } = *attempt;
        let loops = cx.hosts.detects_loops();
        let mut profile = lookups.profile(&cx.request, &cx.settings, loops);
        let expires = cx.now + cx.settings.reuse.age;
        let records = Records::new(cx, &peer);
        profile.journal = records.are_kept();
        let session = match tls.is_wrapped(cx) {
            true => Session::wrapped(profile, cx.now),
            false => Session::new(profile, cx.now),
        };
        let channel = Box::new(Channel::new(session, peer, expires, tls.policy.level));
        let keywords_failed = lookups.failure();
        let login = lookups.into_login();
        let mut talking = Self::new(channel, Progress::Greeting, login, tls, records);
        talking.keywords_failed = keywords_failed;
        talking.place = matches!(place, Place::Inet(_)).then_some(place);
        talking
    }

    /// A dialogue on a kept connection, which is asked with RSET whether it is alive.
    pub(super) fn resume(
        cx: &Context,
        mut channel: Box<Channel>,
        instead: Option<Box<Attempt>>,
    ) -> Box<Self> {
        if let Some(idle) = channel.session.idle() {
            idle.probe();
        }
        let progress = Progress::Probing {
            instead,
            said: None,
        };
        let tls = Tls::resumed(channel.tls_facts().as_ref());
        let records = Records::new(cx, &channel.peer);
        Self::new(channel, progress, Login::done(), tls, records)
    }

    fn new(
        channel: Box<Channel>,
        progress: Progress,
        login: Login,
        tls: Tls,
        records: Records,
    ) -> Box<Self> {
        Box::new(Self {
            channel,
            progress,
            login,
            tls,
            records,
            throttled: false,
            place: None,
            counted: false,
            set_up: None,
            keepable: true,
            keywords_failed: None,
            announced: false,
        })
    }

    pub(super) fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    /// The connection alone.
    #[cfg(test)]
    pub(super) fn into_channel(self) -> Box<Channel> {
        self.channel
    }

    pub(super) fn session_taken(&self) -> Taken {
        self.channel.session.taken()
    }

    /// Returns whether the end of the text is out, and its verdict not here.
    pub(super) fn awaits_verdict(&self) -> bool {
        self.channel.session.deadline().1.is_uncertain()
    }

    /// Returns whether something has happened that was not looked at: it may be the verdict.
    pub(super) fn has_news(&self) -> bool {
        self.channel.session.has_events()
    }

    /// Returns whether the text is complete: its end is on its way or out.
    pub(super) const fn has_sent_text(&self) -> bool {
        matches!(&self.progress, Progress::Transfer { text, .. } if text.has_ended())
    }

    /// Returns whether this is the ticket of the question that is out about the text.
    pub(super) fn asked(&self, serial: u32) -> bool {
        matches!(&self.progress, Progress::Transfer { text, .. } if text.asked(serial))
    }

    /// Returns whether text is asked for.
    pub(super) const fn wants_text(&self) -> bool {
        matches!(&self.progress, Progress::Transfer { text, .. } if text.is_wanted())
    }

    /// The answer to the question about the text.
    pub(super) fn looked_up(&mut self, value: Result<Option<String>, TableFailure>) {
        if let Progress::Transfer { text, .. } = &mut self.progress {
            text.looked_up(value);
        }
    }

    /// The text that was asked for is not there yet.
    pub(super) const fn wait_for_text(&mut self, until: Time) {
        if let Progress::Transfer { text, .. } = &mut self.progress {
            text.wait_until(until);
        }
    }

    /// When the source of the text is given up, if it is waited for.
    const fn source_until(&self) -> Time {
        match &self.progress {
            Progress::Transfer { text, .. } => text.source_until(),
            _ => Time::FAR,
        }
    }

    /// A piece of the text.
    pub(super) fn text(&mut self, chunk: bytes::Bytes) {
        if let Progress::Transfer { text, .. } = &mut self.progress {
            text.push(chunk);
        }
    }

    /// This connection, for a verdict.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            relay: Relay::Server(self.peer().server()),
            set_up: self.set_up,
            encryption: Some(self.tls.encryption.clone()),
            uses: self.channel.uses.saturating_add(1),
            server_reports: self.channel.session.capabilities().dsn,
        }
    }

    /// Ends before its time.
    pub(super) fn stop(&mut self, why: &Stop) {
        match why {
            Stop::Cancelled => self.give_up(),
            Stop::Overdue
            | Stop::Unreadable(_)
            | Stop::Starved(_)
            | Stop::Corrupt
            | Stop::Undriven(_) => self.part(),
        }
    }

    /// Goes on with the session.
    pub(super) fn poll(mut self: Box<Self>, cx: &mut Context) -> Next {
        loop {
            return match self.advance(cx) {
                Turn::Ask(ask) => Next::Ask(self.into(), ask),
                // Most turns have nothing to tell: they need no way out and back in.
                Turn::Again if cx.is_free() => continue,
                Turn::Again => Next::Go(self.into()),
                Turn::Overdue => Next::Await(self.into()),
                Turn::Keep => Next::Go(self.keep(cx)),
                Turn::Closed(why) => Next::Go(self.close(cx, why)),
            };
        }
    }

    fn advance(&mut self, cx: &mut Context) -> Turn {
        let over = matches!(self.progress, Progress::Over);
        // What has happened already is heard first, since it may be the verdict.
        if !over && cx.is_overdue() && !self.has_news() {
            return Turn::Overdue;
        }
        // A farewell has limits of its own.
        let give_up = if over { Time::FAR } else { cx.give_up() };
        let give_up = give_up.min(self.source_until());
        let step = self.channel.poll(cx.now);
        self.records.take_down(cx, &mut self.channel);
        match step {
            Step::Send { until } => {
                let until = until.min(give_up);
                return Turn::Ask(Ask::Send { until });
            }
            Step::Wait { until } => {
                let until = until.min(give_up);
                return Turn::Ask(Ask::Wait { until });
            }
            Step::Need(Need::Body) => return self.feed(cx),
            Step::Need(Need::Envelope) => return self.at_rest(cx),
            Step::Need(Need::Negotiation) => self.negotiate(cx),
            Step::Need(Need::Tls) => self.at_tls_gate(cx),
            Step::Need(Need::Sasl) => self.answer_challenge(cx),
            Step::Event(session::Event::Reply(stage, reply)) => self.on_reply(cx, stage, &reply),
            Step::Event(event) => self.on_event(cx, event),
            Step::Closed(why) => return Turn::Closed(why),
        }
        Turn::Again
    }

    fn peer(&self) -> &Peer {
        &self.channel.peer
    }

    /// The message cannot go to this server.
    fn object(&mut self, cx: &mut Context, reason: Reason) {
        self.fail_site(cx, reason);
        self.give_up();
    }

    /// A failure that speaks against the server or the session.
    fn fail_site(&mut self, cx: &mut Context, reason: Reason) {
        self.throttled = true;
        self.fail(cx, Whom::Open, reason);
    }

    fn fail(&mut self, cx: &mut Context, whom: Whom, reason: Reason) {
        let strange = reason.reply.as_ref().is_some_and(records::is_strange);
        if cx.fail(whom, reason, &self.origin()) && strange {
            self.records.record_protocol_error();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use crate::delivery::testing::{configure, context, converse, course, talking};

    const HELLO: [&str; 2] = [
        "220 mx.example ESMTP\r\n",
        "250-mx.example\r\n250 PIPELINING\r\n",
    ];

    #[test]
    fn a_message_goes_out_and_each_recipient_hears_of_it() {
        let mut cx = context(2);
        let mut course = course(talking(&cx));
        let [greeting, hello] = HELLO;
        let replies = "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 unknown\r\n354 go\r\n";
        let replies = [greeting, hello, replies, "250 2.0.0 queued\r\n221 bye\r\n"];
        let expected = [
            "EHLO localhost",
            "MAIL FROM:<from@example.org>",
            "RCPT TO:<user0@example.com>",
            "RCPT TO:<user1@example.com>",
            "DATA",
            "1 bounced 5.1.1 (host mx.example[192.0.2.1] said: 550 5.1.1 unknown (in reply to \
             RCPT TO command))",
            "Subject: hi",
            "",
            "hello",
            ".",
            "QUIT",
            "0 sent 2.0.0 (250 2.0.0 queued)",
            "close",
        ];
        assert_eq!(converse(&mut cx, &mut course, &replies), expected);
    }

    #[test]
    fn a_connection_that_may_be_kept_is_kept() {
        let mut cx = context(1);
        cx.hosts.cache.store = true;
        let mut course = course(talking(&cx));
        let [greeting, hello] = HELLO;
        let replies = [
            greeting,
            hello,
            "250 Ok\r\n250 Ok\r\n354 go\r\n",
            "250 2.0.0 queued\r\n",
        ];
        let heard = converse(&mut cx, &mut course, &replies);
        assert_eq!(heard.last().unwrap(), "keep");
        assert!(!heard.contains(&"QUIT".to_owned()));
    }

    #[test]
    fn a_message_that_is_too_large_is_not_begun() {
        let mut cx = context(1);
        cx.request.size = Some(101);
        let mut course = course(talking(&cx));
        let hello = "250-mx.example\r\n250 SIZE 100\r\n";
        let heard = converse(&mut cx, &mut course, &[HELLO[0], hello]);
        let expected = [
            "EHLO localhost",
            "0 bounced 5.3.4 (message size 101 exceeds size limit 100 of server \
             mx.example[192.0.2.1])",
            "close",
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn a_server_that_is_this_one_is_no_place_for_the_message() {
        let mut cx = context(1);
        configure(&mut cx, |settings| {
            settings.identity.host = "mx.example".parse().unwrap();
        });
        cx.hosts.site = Some(Box::new(crate::delivery::testing::site(&[])));
        let mut course = course(talking(&cx));
        let heard = converse(&mut cx, &mut course, &[HELLO[0], HELLO[1], "221 bye\r\n"]);
        let loops = "0 bounced 5.4.6 (mail for example.com loops back to myself)";
        assert!(heard.contains(&loops.to_owned()), "{heard:?}");
        assert!(heard.contains(&"QUIT".to_owned()), "{heard:?}");
    }
}
