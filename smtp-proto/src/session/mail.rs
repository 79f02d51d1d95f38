//! A mail transaction: which command is sent when, and which reply belongs to it
//! (RFC 2920; `src/smtp/smtp_proto.c`, smtp_loop).
//!
//! There is a sender and a receiver, each at its place in the same sequence of commands.
//! The sender writes the next command as long as it may run ahead of the replies.
//! When it must not, the receiver takes replies and follows; the sender waits until
//! all are in, and only then looks whether the transaction still makes sense.

use alloc::{boxed::Box, vec::Vec};

use super::{
    Closed, Event, Need, Place, Protocol, Session, Stage, State, Stop, Transaction, text::Text,
};
use crate::{
    command,
    reply::{Capabilities, Reply},
    time::Time,
};

/// The most bytes of commands that may be unanswered. Both ends could otherwise
/// wait for each other with full buffers (RFC 2920 section 3.1); Postfix uses
/// its stream buffer size.
const SEND_WINDOW: usize = 4096;

/// The length of CR and LF.
const LINE_END: usize = 2;

/// The session at rest: a message can be sent.
#[derive(Debug)]
pub struct Idle<'a> {
    session: &'a mut Session,
}

impl Idle<'_> {
    /// What the server announced when the session began.
    pub fn capabilities(&self) -> &Capabilities {
        &self.session.capabilities
    }

    /// Begins a transaction.
    pub fn send(self, transaction: Transaction) {
        let mail = Mail::new(transaction, self.session.profile.protocol);
        self.session.state.go(State::Mail(Box::new(mail)));
    }

    /// Forgets what the server has said since its last reply that was wanted: it answers
    /// nothing that is asked from now on. Returns how many bytes that were.
    pub fn hush(self) -> usize {
        self.session.hush()
    }

    /// Asks with RSET whether the server still answers. What it has said before is no
    /// answer.
    pub fn probe(self) {
        self.session.hush();
        self.session.output.write(command::RSET);
        self.session.arm(Stage::RsetProbe);
        self.session.state.go(State::Probing { silent: true });
    }

    /// Leaves with QUIT.
    pub fn quit(self) {
        self.session.leave(Closed::Quit);
    }
}

/// The state of a transaction.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) transaction: Transaction,
    protocol: Protocol,
    /// The step that the sender takes next.
    next: Next,
    /// The oldest step without its reply; the same if there is none.
    heard: Next,
    /// Bytes written since the sender last waited for all replies.
    window: usize,
    /// The sender waits for all replies before it writes the next command.
    waiting: bool,
    mail_rejected: bool,
    /// Something had come before MAIL FROM was sent.
    early_reply: bool,
    data_rejected: bool,
    /// The number of recipients that the server accepted.
    accepted: usize,
    /// Their positions, if each of them has a verdict of its own (LMTP).
    verdicts: Vec<usize>,
    /// The number of those verdicts that have come.
    judged: usize,
    pub(super) text: Text,
    ending: Ending,
}

/// A step of a transaction, to be taken or to be answered, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    ForwardNameAddr,
    ForwardProtoHelo,
    Mail,
    Rcpt(usize),
    Data,
    Text,
    Abort,
    Quit,
    Last,
}

/// What becomes of the connection, decided when the last command but QUIT is
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Quit,
    Keep,
}

impl Mail {
    fn new(transaction: Transaction, protocol: Protocol) -> Self {
        let mut mail = Self {
            transaction,
            protocol,
            next: Next::ForwardNameAddr,
            heard: Next::ForwardNameAddr,
            window: 0,
            waiting: false,
            mail_rejected: false,
            early_reply: false,
            data_rejected: false,
            accepted: 0,
            verdicts: Vec::new(),
            judged: 0,
            text: Text::default(),
            ending: Ending::Quit,
        };
        mail.next = mail.present(mail.next);
        mail.heard = mail.next;
        mail
    }

    /// Steps over commands that this transaction does not have.
    fn present(&self, mut next: Next) -> Next {
        if next == Next::ForwardNameAddr && self.transaction.forward_name_addr.is_none() {
            next = Next::ForwardProtoHelo;
        }
        if next == Next::ForwardProtoHelo && self.transaction.forward_proto_helo.is_none() {
            next = Next::Mail;
        }
        match next {
            Next::Rcpt(index) if index >= self.transaction.recipients.len() => {
                match self.transaction.stop {
                    Stop::AfterRcpt => Next::Abort,
                    Stop::Never | Stop::AtText => Next::Data,
                }
            }
            next => next,
        }
    }

    /// All replies are known: looks whether the transaction still makes sense, and
    /// turns to RSET if not. Returns whether it does.
    fn correct_course(&mut self) -> bool {
        let pointless = match self.next {
            Next::Rcpt(_) => self.mail_rejected,
            Next::Data => !self.has_recipients(),
            Next::Text => self.data_rejected,
            _ => false,
        };
        if pointless {
            self.next = Next::Abort;
            self.heard = Next::Abort;
        }
        self.window = 0;
        self.waiting = false;
        pointless
    }

    /// The phase of the transaction, by name.
    pub(super) fn place(&self) -> Place {
        match self.next {
            Next::ForwardNameAddr | Next::ForwardProtoHelo if !self.waiting => Place::Forward,
            Next::Mail | Next::Rcpt(_) | Next::Data if !self.waiting => Place::Envelope,
            Next::ForwardNameAddr
            | Next::ForwardProtoHelo
            | Next::Mail
            | Next::Rcpt(_)
            | Next::Data => Place::Window,
            Next::Abort => Place::Abort,
            Next::Text | Next::Quit | Next::Last => match self.text.place() {
                Some(place) if self.next == Next::Text => place,
                // Without a text that is over, it was RSET that came before.
                Some(_) => Place::Abort,
                None if self.verdicts.is_empty() => Place::Verdict,
                None => Place::Verdicts,
            },
        }
    }

    /// Appends the next command to `out`, unless it has to wait until all replies are in. Returns its size in bytes.
    fn next_command(&self, pipelining: bool, out: &mut Vec<u8>) -> Option<usize> {
        let ahead = self.awaited().is_some();
        if ahead && !pipelining {
            return None;
        }
        let start = out.len();
        self.encode(out);
        let size = out.len() - start;
        // QUIT goes out in one piece with the end of the text.
        let fits = self.next == Next::Quit || self.window + size <= SEND_WINDOW;
        (!ahead || fits).then_some(size)
    }

    /// The next command as bytes.
    fn encode(&self, line: &mut Vec<u8>) {
        let transaction = &self.transaction;
        match self.next {
            Next::ForwardNameAddr => {
                let forward = transaction.forward_name_addr.iter();
                forward.for_each(|forward| forward.encode(line));
            }
            Next::ForwardProtoHelo => {
                let forward = transaction.forward_proto_helo.iter();
                forward.for_each(|forward| forward.encode(line));
            }
            Next::Mail => transaction.mail.encode(line),
            Next::Rcpt(index) => {
                let rcpt = transaction.recipients.get(index);
                rcpt.iter().for_each(|rcpt| rcpt.encode(line));
            }
            Next::Data => line.extend_from_slice(command::DATA),
            Next::Abort => line.extend_from_slice(command::RSET),
            Next::Quit => line.extend_from_slice(command::QUIT),
            Next::Text | Next::Last => {}
        }
    }

    /// The stage that the next reply answers; `None` if no reply is awaited. The one to QUIT is not a part of
    /// the transaction.
    fn awaited(&self) -> Option<Stage> {
        if self.heard == self.next {
            return None;
        }
        match self.heard {
            Next::ForwardNameAddr => Some(Stage::XforwardNameAddr),
            Next::ForwardProtoHelo => Some(Stage::XforwardProtoHelo),
            Next::Mail => Some(Stage::Mail),
            Next::Rcpt(index) => Some(Stage::Rcpt(index)),
            Next::Data => Some(Stage::Data),
            Next::Text => self.end_of_data().nth(self.judged),
            Next::Abort => Some(Stage::Abort),
            Next::Quit | Next::Last => None,
        }
    }

    /// Goes on behind a reply.
    fn hear_on(&mut self) {
        if self.heard == Next::Text {
            self.judged += 1;
            if self.judged < self.verdicts.len() {
                return;
            }
        }
        self.heard = self.after(self.heard);
    }

    /// Whom the replies after the text are for.
    pub(super) fn end_of_data(&self) -> impl Iterator<Item = Stage> + use<'_> {
        let once = self.verdicts.is_empty().then_some(Stage::EndOfData);
        let each = self.verdicts.iter();
        once.into_iter()
            .chain(each.map(|index| Stage::EndOfDataFor(*index)))
    }

    /// Decides whether the connection will be kept: not changed by what comes later, since QUIT may be on its
    /// way by then.
    fn decide_ending(&mut self, now: Time, irregular: bool) {
        let until = self.transaction.keep_until;
        let keep = !irregular && until.is_some_and(|until| now <= until);
        self.ending = if keep { Ending::Keep } else { Ending::Quit };
    }

    /// Goes on behind a step that was taken. Returns the stage that is awaited now, if none was before.
    fn step_on(&mut self) -> Option<Stage> {
        let ahead = self.awaited().is_some();
        self.next = self.after(self.next);
        self.awaited().filter(|_| !ahead)
    }

    /// The step behind another.
    fn after(&self, step: Next) -> Next {
        self.present(match step {
            Next::ForwardNameAddr => Next::ForwardProtoHelo,
            Next::ForwardProtoHelo => Next::Mail,
            Next::Mail => Next::Rcpt(0),
            Next::Rcpt(index) => Next::Rcpt(index + 1),
            Next::Data => Next::Text,
            Next::Text | Next::Abort => match self.ending {
                Ending::Quit => Next::Quit,
                Ending::Keep => Next::Last,
            },
            Next::Quit | Next::Last => Next::Last,
        })
    }

    /// Notes what a reply means for the rest of the transaction. Returns whether it is
    /// a failure that counts.
    fn judge(&mut self, stage: Stage, reply: &Reply) -> bool {
        match stage {
            Stage::Mail => {
                self.mail_rejected = self.early_reply || !reply.is_success();
                !reply.is_success()
            }
            Stage::Rcpt(_) if self.mail_rejected => false,
            Stage::Rcpt(index) if reply.is_success() => {
                self.accepted += 1;
                if self.protocol == Protocol::Lmtp {
                    self.verdicts.push(index);
                }
                false
            }
            Stage::Data => {
                self.data_rejected = !reply.is_intermediate();
                self.data_rejected && self.has_recipients()
            }
            Stage::EndOfData => !reply.is_success() && self.has_recipients(),
            Stage::EndOfDataFor(_) | Stage::Rcpt(_) => !reply.is_success(),
            _ => false,
        }
    }

    pub(super) fn has_recipients(&self) -> bool {
        self.accepted > 0
    }
}

impl Session {
    /// The session at rest, while it is.
    pub fn idle(&mut self) -> Option<Idle<'_>> {
        matches!(*self.state, State::Idle).then_some(Idle { session: self })
    }

    fn hush(&mut self) -> usize {
        if self.reader.is_empty() && self.early.is_empty() {
            return 0;
        }
        let replies = self.early.drain(..);
        let said: usize = replies.map(|reply| reply.text().len() + LINE_END).sum();
        let count = said + self.reader.buffered();
        self.reader.clear();
        count
    }

    /// Goes on with the transaction as far as possible.
    pub(super) fn advance_mail(&mut self) -> Option<Need> {
        loop {
            let State::Mail(mail) = &*self.state else {
                return None;
            };
            let next = mail.next;
            let ready = match next {
                Next::Text | Next::Last => mail.awaited().is_none(),
                _ => self.send_command(),
            };
            if !ready {
                if self.catch_up() {
                    continue;
                }
                return None;
            }
            match next {
                Next::Text => {
                    let need = self.advance_text();
                    if need.is_some() || !self.text_is_over() {
                        return need;
                    }
                    self.end_text();
                }
                Next::Last => return self.finish_mail(),
                _ => {}
            }
        }
    }

    /// Sends the next command. Returns whether it did; if not, it has to wait until all replies are in.
    fn send_command(&mut self) -> bool {
        let State::Mail(mail) = &*self.state else {
            return false;
        };
        let pipelining = self.capabilities.pipelining;
        let encode = |out: &mut Vec<u8>| mail.next_command(pipelining, out);
        let begins = mail.next == Next::Mail;
        let Some(size) = self.output.write_with(encode) else {
            return false;
        };
        let early = begins
            && self.secure
            && self.profile.block_early_mail_reply
            && !(self.reader.is_empty() && self.early.is_empty());
        let (now, irregular) = (self.now, self.irregular);
        let first = self.state.in_mail(|mail| {
            mail.early_reply |= early;
            mail.window += size;
            let first = mail.step_on();
            if matches!(mail.next, Next::Text | Next::Abort) {
                // Before any of the replies to this group of commands is known.
                mail.decide_ending(now, irregular);
            }
            first
        });
        self.arm_if(first.flatten());
        true
    }

    /// The text is out: the final dot follows, and the replies to it are awaited.
    fn end_text(&mut self) {
        self.output.write(command::END_OF_DATA);
        let end = self.output.sent() + self.output.len() as u64;
        let first = self.state.in_mail(|mail| {
            mail.text.note_end(end);
            mail.step_on()
        });
        self.arm_if(first.flatten());
    }

    /// Starts to wait for the reply to `stage`, if another one is awaited now than before.
    fn arm_if(&mut self, stage: Option<Stage>) {
        if let Some(stage) = stage {
            self.arm(stage);
        }
    }

    /// Waits for all replies. Returns whether they are known. They are not looked at before the sender
    /// has to wait, however early they come: it goes by what it knew then.
    fn catch_up(&mut self) -> bool {
        if matches!(&*self.state, State::Mail(mail) if !mail.waiting) {
            self.state.in_mail(|mail| mail.waiting = true);
        }
        self.receive_replies();
        if !matches!(&*self.state, State::Mail(mail) if mail.awaited().is_none()) {
            return false;
        }
        let (now, irregular) = (self.now, self.irregular);
        self.state.in_mail(|mail| {
            if mail.correct_course() {
                mail.decide_ending(now, irregular);
            }
        });
        true
    }

    /// Takes the replies that are there, in the order of the commands.
    fn receive_replies(&mut self) {
        while let State::Mail(mail) = &*self.state
            && let Some(stage) = mail.awaited()
            && self.can_be_answered(stage)
            && let Some(reply) = self.take_reply_in_time(stage)
        {
            let judged = self.state.in_mail(|mail| {
                let failed = mail.judge(stage, &reply);
                mail.hear_on();
                (failed, mail.awaited())
            });
            let (failed, next) = judged.unwrap_or_default();
            self.irregular |= failed && is_protocol_error(reply.code());
            self.arm_if(next);
        }
    }

    /// The reply to `stage`, behind a warning if it came too early.
    fn take_reply_in_time(&mut self, stage: Stage) -> Option<Reply> {
        let at = self.events.len();
        let reply = self.take_reply(stage)?;
        if let State::Mail(mail) = &*self.state
            && mail.early_reply
            && stage == Stage::Mail
        {
            self.events.insert(at, Event::EarlyMailReply);
        }
        Some(reply)
    }

    fn finish_mail(&mut self) -> Option<Need> {
        let State::Mail(mail) = &*self.state else {
            return None;
        };
        match mail.ending {
            Ending::Quit => self.await_end(Closed::Quit),
            // The replies may be here before the last command has gone out.
            Ending::Keep if self.output.is_empty() => {
                self.state.go(State::Idle);
                return self.at_rest(Need::Envelope);
            }
            Ending::Keep => {}
        }
        None
    }
}

/// Codes that say more about the dialogue than about the mail
/// (`src/smtp/smtp_trouble.c`, smtp_check_code).
const fn is_protocol_error(code: u16) -> bool {
    code < 400 || code > 599 || code == 555 || (code >= 500 && code < 510)
}
