//! The dialogue with one server, seen from above: what to answer when the session
//! needs a decision, and what its replies mean for the recipients
//! (`src/smtp/smtp_proto.c`, smtp_helo and smtp_xfer; `src/smtp/smtp_connect.c`,
//! smtp_cleanup_session).

use smtp_proto::{
    reply::{Reply, ReplyNote},
    session::{Closed, Event, Need, PixWorkarounds, Profile, Session, Stage, Step},
    status::EnhancedStatus,
    time::Time,
};

use super::{
    Ask, Delivery, Note,
    attempt::Attempt,
    envelope,
    hosts::{Phase, Place},
    journal::Records,
    login::{Login, in_hello},
    secure::Security,
};
use crate::{
    channel::{Channel, Peer, is_handshake_failure},
    content::Pipe,
    report::{Encryption, LogText, Scope, TlsSummary, trouble::Reason},
    request::RcptIndex,
    settings::ProbeTarget,
    tables::TableFailure,
};

/// The server is about to close, whatever it was told (RFC 5321 section 3.8).
const SHUTTING_DOWN: u16 = 421;
/// The reply to QUIT, and to nothing else (RFC 5321 section 4.2.3).
const CLOSING: u16 = 221;

/// An open connection and how far the present message has come on it.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) channel: Channel,
    progress: Progress,
    pub(super) login: Login,
    /// For a kept connection: what to try if it turns out to be dead.
    instead: Option<Box<Attempt>>,
    /// The answer of a kept connection to the probe.
    pub(super) said_to_probe: Option<String>,
    /// The recipients of the transaction, in the order of its RCPT commands.
    recipients: Vec<RcptIndex>,
    /// A failure blamed on the site or the session: the connection is not kept.
    pub(super) throttled: bool,
    pub(super) records: Records,
    /// The text of the transaction, and the question about a table that it has
    /// out.
    pub(super) pipe: Option<Box<Pipe>>,
    pub(super) question: Option<u32>,
    /// The text is complete: its end is on its way or out.
    pub(super) text_ended: bool,
    /// What is wanted of TLS.
    pub(super) security: Security,
    /// The result of what is wanted of TLS.
    pub(super) encryption: Encryption,
    /// Where to try again in plaintext, if this is a new connection.
    pub(super) place: Option<Place>,
    /// Whether the session counts towards the limit on sessions.
    pub(super) counted: bool,
    /// Whether the connection may be kept at all.
    pub(super) keepable: bool,
    /// A table could not say which EHLO keywords are to be discarded.
    pub(super) keywords_failed: Option<TableFailure>,
    /// The server has announced keywords: EHLO or LHLO succeeded.
    pub(super) announced: bool,
}

/// A connection that was opened just now.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) profile: Profile,
    pub(super) peer: Peer,
    pub(super) login: Login,
    pub(super) records: Records,
    pub(super) expires: Time,
    pub(super) security: Security,
    pub(super) place: Option<Place>,
    /// TLS begins with the first byte (`smtp_tls_wrappermode`).
    pub(super) wrapped: bool,
    /// A table could not say which EHLO keywords are to be discarded.
    pub(super) keywords_failed: Option<TableFailure>,
}

/// How far a message has come on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// A kept connection is being asked whether it is alive.
    Probing,
    /// Greeting and hello.
    Greeting,
    /// The transaction is under way.
    Transfer,
    /// Nothing more is to be done for this message.
    Over,
}

impl Talk {
    /// A connection that was opened just now.
    pub(super) fn begin(opening: Opening, now: Time) -> Self {
        let Opening {
            mut profile,
            peer,
            login,
            records,
            expires,
            mut security,
            place,
            wrapped,
            keywords_failed,
        } = opening;
        profile.journal = records.are_kept();
        let session = if wrapped {
            Session::wrapped(profile, now)
        } else {
            Session::new(profile, now)
        };
        let channel = Channel::new(session, peer, expires, security.policy.level);
        let instead = security.failed.take().map(LogText::from);
        Self {
            encryption: Encryption::Plaintext { instead },
            security,
            place,
            keywords_failed,
            ..Self::new(channel, Progress::Greeting, login, None, records)
        }
    }

    /// A kept connection, which is asked with RSET whether it is alive.
    pub(super) fn resume(
        mut channel: Channel,
        instead: Option<Box<Attempt>>,
        records: Records,
    ) -> Self {
        if let Some(idle) = channel.session.idle() {
            idle.probe();
        }
        Self::new(channel, Progress::Probing, Login::done(), instead, records)
    }

    fn new(
        channel: Channel,
        progress: Progress,
        login: Login,
        instead: Option<Box<Attempt>>,
        records: Records,
    ) -> Self {
        let tls = channel.tls_facts().map(|facts| TlsSummary::of(&facts));
        Self {
            encryption: tls.map_or_else(Encryption::default, |tls| Encryption::Tls(Box::new(tls))),
            channel,
            progress,
            login,
            instead,
            said_to_probe: None,
            recipients: Vec::new(),
            throttled: false,
            keywords_failed: None,
            announced: false,
            records,
            pipe: None,
            question: None,
            text_ended: false,
            security: Security::default(),
            place: None,
            counted: false,
            keepable: true,
        }
    }

    /// Says QUIT, where the dialogue is between two commands.
    pub(super) fn leave(&mut self) {
        self.progress = Progress::Over;
        match self.channel.session.tls_gate() {
            Some(gate) => gate.quit(),
            None => self.give_up(),
        }
    }

    /// Ends the session without another word.
    pub(super) fn part(&mut self) {
        self.progress = Progress::Over;
        self.channel.session.abandon();
    }

    /// Ends the session without another message: QUIT where the dialogue is
    /// between two commands, otherwise nothing.
    pub(super) fn give_up(&mut self) {
        self.progress = Progress::Over;
        let session = &mut self.channel.session;
        if let Some(negotiation) = session.negotiation() {
            negotiation.quit();
        } else if let Some(turn) = session.sasl() {
            turn.quit();
        } else if let Some(idle) = session.idle() {
            idle.quit();
        } else if session.deadline().1 != Stage::Quit {
            session.abandon();
        }
    }

    fn recipient(&self, position: usize) -> Option<RcptIndex> {
        self.recipients.get(position).copied()
    }
}

impl Delivery {
    /// Goes on with the open session. `None`: look again.
    pub(super) fn talk(&mut self, give_up: Time) -> Option<Ask> {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return None;
        };
        let over = talk.progress == Progress::Over;
        // What has happened already is heard first, since it may be the verdict.
        if !over && now >= give_up && !talk.channel.session.has_events() {
            self.settle_overdue();
            return None;
        }
        // A farewell has limits of its own.
        let give_up = if over { Time::FAR } else { give_up };
        let step = talk.channel.poll(now);
        self.take_down();
        match step {
            Step::Send { until } => {
                let until = until.min(give_up);
                return Some(Ask::Send { until });
            }
            Step::Wait { until } => {
                let until = until.min(give_up);
                return Some(Ask::Wait { until });
            }
            Step::Need(Need::Body) => return self.feed(),
            Step::Need(Need::Negotiation) => self.negotiate(),
            Step::Need(Need::Tls) => self.at_tls_gate(),
            Step::Need(Need::Sasl) => self.answer_challenge(),
            Step::Need(Need::Envelope) => self.at_rest(),
            Step::Event(event) => self.on_event(event),
            Step::Closed(why) => self.on_closed(why),
        }
        None
    }

    fn on_event(&mut self, event: Event) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        if let Event::Reply(stage, reply) = &event {
            return self.on_reply(*stage, reply);
        }
        let relay = talk.channel.peer.relay();
        match event {
            Event::Note(note) => self.reply_note(&relay, &note),
            Event::Pix(workarounds) => {
                let words = pix_words(workarounds);
                self.message_note(&format!("enabling PIX workarounds: {words} for {relay}"));
            }
            Event::GreetedWithOwnName => {
                let name = self.settings.identity.host.as_str();
                let text = format!("host {relay} greeted me with my own hostname {name}");
                self.note(Note::warning(text));
            }
            Event::PlaintextDiscarded(count) => {
                self.note(Note::warning(format!(
                    "{relay}: discarding {count} bytes of plaintext that follow the STARTTLS reply"
                )));
            }
            Event::EarlyMailReply => self.on_early_mail_reply(),
            Event::LineBroken => {
                let limit = self.settings.limits.line;
                self.message_note(&format!("breaking line > {limit} bytes with <CR><LF>SPACE"));
            }
            _ => {}
        }
    }

    fn reply_note(&mut self, relay: &str, note: &ReplyNote) {
        self.note(match note {
            ReplyNote::TooLongLine(start) => {
                Note::warning(format!("{relay}: response longer than 2048: {start}..."))
            }
            ReplyNote::TooLongText(start) => Note::warning(format!(
                "{relay}: multi-line response longer than 2048 {start}..."
            )),
            ReplyNote::Replaced { old, new } => Note::info(format!(
                "{relay}: replacing server reply \"{old}\" with \"{new}\""
            )),
            ReplyNote::Garbage(line) => {
                Note::warning(format!("non-ESMTP response from {relay}: {line}"))
            }
        });
    }

    /// What a reply means for the recipients (`src/smtp/smtp_trouble.c`).
    fn on_reply(&mut self, stage: Stage, reply: &Reply) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let peer = talk.channel.peer.name();
        let was_kept = talk.channel.uses > 0;
        if stage == Stage::RsetProbe {
            talk.said_to_probe = Some(reply.one_line());
        } else if was_kept && reply.code() == SHUTTING_DOWN {
            self.note_kept_connection_ended(&reply.one_line());
        }
        self.visit_reply(stage, reply);
        if reply.is_irregular() {
            self.record_protocol_error();
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let success = reply.is_success();
        talk.announced |= success && matches!(stage, Stage::Ehlo | Stage::Lhlo);
        match stage {
            Stage::Banner | Stage::Helo | Stage::Lhlo if !success => {
                let skip_5xx = self.settings.hello.skip_5xx_greeting;
                self.fail_site(Reason::refused(&peer, stage, reply, skip_5xx));
            }
            // After any other refusal of EHLO the session says HELO.
            Stage::Ehlo if reply.code() == 421 => {
                self.fail_site(Reason::refused(&peer, stage, reply, false));
            }
            Stage::StartTls if !success => self.on_starttls_refused(&peer, reply),
            Stage::Auth => {
                let peer = talk.channel.peer.clone();
                self.on_auth_reply(&peer, reply);
            }
            Stage::XforwardNameAddr | Stage::XforwardProtoHelo if !success => {
                let (relay, text) = (talk.channel.peer.relay(), reply.one_line());
                let request = stage.request();
                self.note(Note::warning(format!(
                    "host {relay} said: {text} (in reply to {request})"
                )));
            }
            Stage::Mail if !success => {
                self.fail_open(Reason::said(&peer, stage, reply, Scope::Message));
            }
            Stage::Rcpt(position) => self.on_rcpt_reply(&peer, position, reply),
            Stage::Data if reply.is_intermediate() => self.on_data_probe(reply),
            Stage::Data => self.fail_open(Reason::said(&peer, stage, reply, Scope::Message)),
            Stage::EndOfData if success => {
                for index in self.roll.open() {
                    self.succeed(index, stage, reply);
                }
            }
            Stage::EndOfData => {
                self.fail_open(Reason::said(&peer, stage, reply, Scope::Message));
            }
            // The server has given a reply too few, and this one is for QUIT: what became
            // of the others is not known.
            Stage::EndOfDataFor(_) if reply.code() == CLOSING => {
                if let Some(reason) = Reason::ended(&peer, Closed::Lost(stage)) {
                    self.fail_open(reason);
                }
            }
            Stage::EndOfDataFor(position) => {
                let Some(index) = talk.recipient(position) else {
                    return;
                };
                if success {
                    self.succeed(index, stage, reply);
                } else {
                    self.fail_one(index, Reason::said(&peer, stage, reply, Scope::Recipient));
                }
            }
            _ => {}
        }
    }

    fn on_rcpt_reply(&mut self, peer: &str, position: usize, reply: &Reply) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let Some(index) = talk.recipient(position) else {
            return;
        };
        let stage = Stage::Rcpt(position);
        if !reply.is_success() {
            self.fail_one(index, Reason::said(peer, stage, reply, Scope::Recipient));
        } else if self.request.probe && self.settings.verdict.probe_target == ProbeTarget::Rcpt {
            self.succeed(index, stage, reply);
        }
    }

    /// A probe that goes as far as DATA ends with its reply.
    fn on_data_probe(&mut self, reply: &Reply) {
        if self.request.probe {
            for index in self.roll.open() {
                self.succeed(index, Stage::Data, reply);
            }
        }
    }

    pub(super) fn fail_site(&mut self, reason: Reason) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.throttled = true;
        }
        self.fail_open(reason);
    }

    /// The session is ready for a message, or done with it.
    fn at_rest(&mut self) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        match talk.progress {
            Progress::Probing | Progress::Greeting => self.transfer(),
            Progress::Transfer => self.keep(),
            Progress::Over => {
                if let Phase::Talking(talk) = &mut self.phase {
                    talk.give_up();
                }
            }
        }
    }

    /// Begins the transaction (`src/smtp/smtp_proto.c`, smtp_xfer).
    fn transfer(&mut self) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let reused = (talk.progress == Progress::Probing).then(|| talk.channel.peer.clone());
        let (name, uses, expires) = (
            talk.channel.peer.name(),
            talk.channel.uses,
            talk.channel.expires,
        );
        let offered = talk.channel.session.capabilities().clone();
        let names_no_author = talk.channel.authenticated
            && self
                .settings
                .login
                .as_ref()
                .is_some_and(|login| login.dummy_mail_auth);
        let instead = talk.instead.is_some();
        self.count_transaction(reused.as_ref(), instead);
        if reused.is_some() {
            self.note_tls_reuse();
        } else if let Phase::Talking(talk) = &mut self.phase {
            talk.counted = true;
        }

        let limit = self.settings.reuse.uses;
        let keepable = matches!(&self.phase, Phase::Talking(talk) if talk.keepable);
        // A connection that was kept once may be kept again, with or without leave.
        let may_keep = (self.hosts.cache.store || reused.is_some())
            && keepable
            && (limit == 0 || uses < limit);
        let size_limit = offered.size.filter(|limit| *limit > 0 && reused.is_none());
        if let (Some(limit), Some(size)) = (size_limit, self.request.size)
            && size > limit
        {
            let text = format!("message size {size} exceeds size limit {limit} of server {name}");
            let status = EnhancedStatus::new(5, 3, 4);
            self.fail_open(Reason::local(status, Scope::Message, text));
            return self.end_before_mail(may_keep);
        }
        let recipients = self.roll.open();
        let keep_until = may_keep.then_some(expires);
        let mut transaction = envelope::transaction(
            &self.request,
            &self.settings,
            &offered,
            &recipients,
            keep_until,
        );
        self.readdress(&mut transaction, &recipients);
        let pipe = self.new_pipe(&offered);
        transaction.mail.auth_null = names_no_author;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.progress = Progress::Transfer;
        talk.instead = None;
        talk.pipe = Some(pipe);
        talk.recipients = recipients;
        if let Some(idle) = talk.channel.session.idle() {
            idle.send(transaction);
        }
    }

    /// The message is over before anything was said of it: the session is as good as it
    /// was. One that is not kept ends without QUIT, as in Postfix.
    fn end_before_mail(&mut self, may_keep: bool) {
        if may_keep {
            self.keep();
        } else if let Phase::Talking(talk) = &mut self.phase {
            talk.part();
        }
    }

    /// The session has ended.
    fn on_closed(&mut self, why: Closed) {
        self.taken = self.taken();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.progress == Progress::Probing {
            // The kept connection was dead: as if nothing had been kept.
            let instead = talk.instead.take();
            self.note_kept_connection_over(why);
            self.phase = Phase::Next;
            self.asks.push_back(Ask::Close);
            if let Some(attempt) = instead {
                self.look_up(*attempt);
            }
            return;
        }
        let peer = talk.channel.peer.name();
        let (stage, why) = (why.stage(), in_hello(why, self.request.protocol));
        let why = self.in_starttls(why);
        let ended = Reason::ended(&peer, why);
        if ended.is_some() && stage == Some(Stage::Auth) {
            self.note_unanswered_login();
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.throttled |= ended.is_some() && !is_handshake_failure(why);
        if !talk.throttled {
            self.hosts.request_nexthop = None;
        }
        if is_handshake_failure(why) {
            self.ended_in_handshake(why);
        }
        if self.retries_in_plaintext(why) {
            self.retry_in_plaintext();
        }
        if is_handshake_failure(why) {
            self.fail_handshake();
        } else if let Some(reason) = ended {
            // Whatever Postfix calls it, a report says what was waited for.
            self.fail_open(Reason { stage, ..reason });
        }
        match why {
            Closed::Protocol(_, error) if error.is_local() => self.record_data_error(),
            Closed::Protocol(..) => self.record_protocol_error(),
            _ => {}
        }
        self.notify_postmaster();
        self.phase = Phase::Next;
        self.asks.push_back(Ask::Close);
    }
}

fn pix_words(workarounds: PixWorkarounds) -> String {
    let words = [
        workarounds.disable_esmtp.then_some("disable_esmtp"),
        workarounds.delay_dotcrlf.map(|_| "delay_dotcrlf"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
