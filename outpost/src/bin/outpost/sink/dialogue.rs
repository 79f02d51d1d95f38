//! The server's side of the dialogue as a state machine: a line in, a turn out.
//! It knows no socket.

use std::{collections::BTreeMap, sync::Arc};

use super::fault::{Answer, Fault};

/// The sink's name, protocol and faults; the same for all connections.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The name in the greeting.
    pub(crate) name: String,
    /// True if it speaks LMTP.
    pub(crate) lmtp: bool,
    /// The ways in which it misbehaves.
    pub(crate) faults: Vec<Fault>,
}

/// The server's next step: a reply, and the step after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The lines to send, without line ends.
    pub(crate) reply: Vec<String>,
    /// The step after the reply.
    pub(crate) next: Next,
}

/// The step after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next command.
    Command,
    /// Message text, up to a line with a single dot.
    Text,
    /// The message that was received is kept, then comes the next command.
    Keep,
    /// The end of the connection.
    Close,
    /// The end of the connection, by force.
    Reset,
    /// Nothing, until the client gives up.
    Silent,
}

/// A transaction's envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The name in EHLO, HELO or LHLO.
    pub(crate) helo: String,
    /// The reverse-path, without angle brackets.
    pub(crate) sender: String,
    /// The recipients that were accepted, without angle brackets.
    pub(crate) recipients: Vec<String>,
}

const UNKNOWN: &str = "502 5.5.2 Error: command not recognized";

/// The most recipients of one message.
const RECIPIENTS: usize = 10_000;
/// The longest address in bytes, as in Postfix.
const ADDRESS: usize = 2048;
/// The number of commands that nobody knows a client may send.
const NONSENSE: u32 = 100;

/// One connection. Whatever the client sends, it holds no more than one envelope, whose
/// size is limited.
#[derive(Debug)]
pub(crate) struct Dialogue {
    manner: Arc<Manner>,
    /// The number of times the events have come that faults are about.
    counts: BTreeMap<String, u32>,
    nonsense: u32,
    envelope: Envelope,
    mail: bool,
}

const EXTENSIONS: [&str; 6] = [
    "PIPELINING",
    "SIZE",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
];

impl Dialogue {
    /// A connection that has just been opened.
    pub(crate) fn new(manner: Arc<Manner>) -> Self {
        Self {
            manner,
            counts: BTreeMap::new(),
            nonsense: 0,
            envelope: Envelope::default(),
            mail: false,
        }
    }

    /// Greets a client that has just connected.
    pub(crate) fn greet(&mut self) -> Turn {
        let protocol = if self.manner.lmtp { "LMTP" } else { "ESMTP" };
        let usual = [format!("220 {} {protocol} Outpost sink", self.manner.name)];
        self.turn("CONNECT", "", usual.to_vec(), Next::Command)
    }

    /// Answers a command.
    pub(crate) fn command(&mut self, line: &str) -> Turn {
        let verb = line
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let (reply, next) = self.usual(&verb, line);
        let turn = self.turn(&verb, line, reply, next);
        if turn
            .reply
            .first()
            .is_some_and(|reply| reply.starts_with('2'))
        {
            self.accept(&verb, line);
        }
        turn
    }

    /// Answers a message whose text has been received.
    pub(crate) fn message(&mut self, number: u64) -> Turn {
        let usual = if self.manner.lmtp {
            let one = |rcpt| format!("250 2.1.5 <{rcpt}> Ok: kept as {number}");
            self.envelope.recipients.iter().map(one).collect()
        } else {
            vec![format!("250 2.0.0 Ok: kept as {number}")]
        };
        let mut turn = self.turn(".", "", usual, Next::Keep);
        if self.manner.lmtp && turn.reply.len() == 1 {
            // A fault is written once and answers for each recipient.
            turn.reply = turn
                .reply
                .into_iter()
                .cycle()
                .take(self.replies_to_text())
                .collect();
        }
        let kept = turn.reply.iter().any(|reply| reply.starts_with('2'));
        match turn.next {
            Next::Keep if !kept => Turn {
                next: Next::Command,
                ..turn
            },
            _ => turn,
        }
    }

    /// Returns the number of replies to the end of the text.
    pub(crate) fn replies_to_text(&self) -> usize {
        if self.manner.lmtp {
            self.envelope.recipients.len()
        } else {
            1
        }
    }

    /// The envelope of the message that was received; the next one begins empty.
    pub(crate) fn take_envelope(&mut self) -> Envelope {
        self.mail = false;
        let helo = self.envelope.helo.clone();
        std::mem::replace(
            &mut self.envelope,
            Envelope {
                helo,
                ..Envelope::default()
            },
        )
    }

    fn usual(&mut self, verb: &str, line: &str) -> (Vec<String>, Next) {
        let one = |text: &str| (vec![text.to_owned()], Next::Command);
        match verb {
            "EHLO" if !self.manner.lmtp => (self.capabilities(), Next::Command),
            "LHLO" if self.manner.lmtp => (self.capabilities(), Next::Command),
            "HELO" if !self.manner.lmtp => one(&format!("250 {}", self.manner.name)),
            "EHLO" | "HELO" | "LHLO" => one("500 5.5.1 Command unrecognized"),
            "MAIL" | "RCPT" if path(line).is_none() => one("501 5.5.4 Syntax error"),
            "MAIL" | "RCPT" if !fits(line) => one("501 5.1.0 Error: address is too long"),
            "MAIL" if self.mail => one("503 5.5.1 Error: nested MAIL command"),
            "MAIL" => one("250 2.1.0 Ok"),
            "RCPT" if !self.mail => one("503 5.5.1 Error: need MAIL command"),
            "RCPT" if self.is_full() => one("452 4.5.3 Error: too many recipients"),
            "RCPT" => one("250 2.1.5 Ok"),
            "DATA" if !self.mail => one("503 5.5.1 Error: need RCPT command"),
            "DATA" if self.envelope.recipients.is_empty() => {
                one("554 5.5.1 Error: no valid recipients")
            }
            "DATA" => (
                vec!["354 End data with <CR><LF>.<CR><LF>".to_owned()],
                Next::Text,
            ),
            "RSET" | "NOOP" => one("250 2.0.0 Ok"),
            "QUIT" => (vec!["221 2.0.0 Bye".to_owned()], Next::Close),
            _ if self.is_about(verb) => one(UNKNOWN),
            _ => self.nonsense(),
        }
    }

    /// A command that neither the server nor a fault knows.
    fn nonsense(&mut self) -> (Vec<String>, Next) {
        self.nonsense = self.nonsense.saturating_add(1);
        let (reply, next) = if self.nonsense <= NONSENSE {
            (UNKNOWN, Next::Command)
        } else {
            ("421 4.7.0 Error: too many errors", Next::Close)
        };
        (vec![reply.to_owned()], next)
    }

    /// Returns whether a fault is about events of this kind.
    fn is_about(&self, event: &str) -> bool {
        self.manner.faults.iter().any(|fault| fault.is_about(event))
    }

    /// Returns whether the message has as many recipients as it can have.
    fn is_full(&self) -> bool {
        self.envelope.recipients.len() >= RECIPIENTS
    }

    /// The turn of a fault that fits, or the usual one. A fault that answers DATA
    /// with anything but 3xx takes no text.
    fn turn(&mut self, event: &str, line: &str, usual: Vec<String>, next: Next) -> Turn {
        if !self.is_about(event) {
            return Turn { reply: usual, next };
        }
        let count = self.counts.entry(event.to_owned()).or_default();
        *count = count.saturating_add(1);
        let fits = |fault: &&Fault| fault.fits(event, *count, line);
        let Some(fault) = self.manner.faults.iter().find(fits) else {
            return Turn { reply: usual, next };
        };
        let nothing = |next| Turn {
            reply: Vec::new(),
            next,
        };
        match fault.answer() {
            Answer::Close => nothing(Next::Close),
            Answer::Reset => nothing(Next::Reset),
            Answer::Silent => nothing(Next::Silent),
            Answer::Reply(lines) => {
                let next = match (event, lines.last()) {
                    ("DATA", Some(last)) if last.starts_with('3') => Next::Text,
                    ("DATA", _) => Next::Command,
                    _ => next,
                };
                Turn {
                    reply: lines.clone(),
                    next,
                }
            }
        }
    }

    /// Remembers what an accepted command changes.
    fn accept(&mut self, verb: &str, line: &str) {
        let path = path(line).unwrap_or_default().to_owned();
        match verb {
            "EHLO" | "HELO" | "LHLO" => {
                self.take_envelope();
                self.envelope.helo = line.get(5..).unwrap_or_default().trim().to_owned();
            }
            "MAIL" => {
                self.take_envelope();
                self.mail = true;
                self.envelope.sender = path;
            }
            // A fault may have accepted it.
            "RCPT" if self.is_full() || !fits(line) => {}
            "RCPT" => self.envelope.recipients.push(path),
            "RSET" => {
                self.take_envelope();
            }
            _ => {}
        }
    }

    fn capabilities(&self) -> Vec<String> {
        let mut lines = vec![format!("250-{}", self.manner.name)];
        lines.extend(EXTENSIONS.iter().map(|word| format!("250-{word}")));
        if let Some(last) = lines.last_mut() {
            last.replace_range(3..4, " ");
        }
        lines
    }
}

/// Returns the text between the angle brackets.
fn path(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('<')?;
    rest.rsplit_once('>').map(|(path, _)| path)
}

/// Returns whether what stands there is no longer than an address can be.
fn fits(line: &str) -> bool {
    path(line).is_none_or(|path| path.len() <= ADDRESS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn dialogue(lmtp: bool, faults: &[&str]) -> Dialogue {
        let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
        Dialogue::new(Arc::new(Manner {
            name: "sink.example".to_owned(),
            lmtp,
            faults,
        }))
    }

    /// Plays `C:` lines and compares the first word of each reply.
    fn play(dialogue: &mut Dialogue, lines: &[(&str, &str, Next)]) {
        for (line, code, next) in lines {
            let turn = dialogue.command(line);
            let first = turn.reply.first().map_or("", String::as_str);
            assert!(first.starts_with(code), "{line}: {first}");
            assert_eq!(turn.next, *next, "{line}");
        }
    }

    #[test]
    fn a_message_is_taken_with_its_envelope() {
        let mut dialogue = dialogue(false, &[]);
        assert!(dialogue.greet().reply[0].starts_with("220 sink.example ESMTP"));
        play(
            &mut dialogue,
            &[
                ("EHLO me.example", "250-sink.example", Next::Command),
                ("MAIL FROM:<a@b> SIZE=3", "250 2.1.0", Next::Command),
                ("RCPT TO:<c@d> NOTIFY=NEVER", "250 2.1.5", Next::Command),
                ("DATA", "354", Next::Text),
            ],
        );
        let turn = dialogue.message(7);
        assert_eq!(
            turn,
            Turn {
                reply: vec!["250 2.0.0 Ok: kept as 7".to_owned()],
                next: Next::Keep
            }
        );
        let envelope = dialogue.take_envelope();
        assert_eq!(
            (envelope.helo.as_str(), envelope.sender.as_str()),
            ("me.example", "a@b")
        );
        assert_eq!(envelope.recipients, ["c@d"]);
        play(
            &mut dialogue,
            &[("DATA", "503", Next::Command), ("QUIT", "221", Next::Close)],
        );
    }

    #[test]
    fn commands_out_of_order_are_refused() {
        let mut dialogue = dialogue(false, &[]);
        play(
            &mut dialogue,
            &[
                ("LHLO x", "500", Next::Command),
                ("RCPT TO:<c@d>", "503", Next::Command),
                ("MAIL FROM:a@b", "501", Next::Command),
                ("MAIL FROM:<>", "250", Next::Command),
                ("MAIL FROM:<>", "503", Next::Command),
                ("DATA", "554", Next::Command),
                ("VRFY c", "502", Next::Command),
            ],
        );
    }

    #[test]
    fn lmtp_answers_the_text_for_each_recipient() {
        let mut dialogue = dialogue(true, &["RCPT no@=550 5.1.1 no"]);
        play(
            &mut dialogue,
            &[
                ("LHLO x", "250-", Next::Command),
                ("MAIL FROM:<>", "250", Next::Command),
                ("RCPT TO:<a@d>", "250", Next::Command),
                ("RCPT TO:<no@d>", "550", Next::Command),
                ("RCPT TO:<b@d>", "250", Next::Command),
                ("DATA", "354", Next::Text),
            ],
        );
        let replies = dialogue.message(1).reply;
        assert_eq!(replies.len(), 2);
        assert!(replies[1].contains("<b@d>"));
    }

    #[test]
    fn a_fault_at_the_end_of_text_answers_for_each_lmtp_recipient() {
        let mut dialogue = dialogue(true, &[".=452 4.2.2 full"]);
        play(
            &mut dialogue,
            &[
                ("MAIL FROM:<>", "250", Next::Command),
                ("RCPT TO:<a@d>", "250", Next::Command),
                ("RCPT TO:<b@d>", "250", Next::Command),
            ],
        );
        let turn = dialogue.message(1);
        assert_eq!(
            turn,
            Turn {
                reply: vec!["452 4.2.2 full".to_owned(); 2],
                next: Next::Command
            }
        );
    }

    #[test]
    fn only_what_faults_are_about_is_counted() {
        let mut dialogue = dialogue(false, &["XONE#2=450 4.0.0 twice", "RCPT=250 yes"]);
        for number in 0..1000 {
            dialogue.command(&format!("VERB{number} x"));
        }
        assert!(dialogue.counts.is_empty());
        assert_eq!(dialogue.command("XONE").reply, [UNKNOWN]);
        assert!(dialogue.command("xone").reply[0].starts_with("450"));
        for _ in 0..RECIPIENTS + 1 {
            assert_eq!(dialogue.command("RCPT TO:<a@b>").reply, ["250 yes"]);
        }
        assert_eq!(dialogue.envelope.recipients.len(), RECIPIENTS);
    }

    #[test]
    fn faults_answer_first() {
        let faults = [
            "DATA=451 4.3.0 not now",
            "MAIL#2=close",
            ".=552 5.3.4 too big",
        ];
        let mut dialogue = dialogue(false, &faults);
        play(
            &mut dialogue,
            &[
                ("EHLO x", "250", Next::Command),
                ("MAIL FROM:<>", "250", Next::Command),
                ("RCPT TO:<a@d>", "250", Next::Command),
                ("DATA", "451", Next::Command),
            ],
        );
        let turn = dialogue.message(1);
        assert_eq!(turn.next, Next::Command);
        assert_eq!(turn.reply, ["552 5.3.4 too big"]);
        play(
            &mut dialogue,
            &[
                ("RSET", "250", Next::Command),
                ("MAIL FROM:<>", "", Next::Close),
            ],
        );
    }
}
