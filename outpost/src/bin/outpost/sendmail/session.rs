//! The server's side of an SMTP dialogue with the program that started this one (`-bs`): a line in, a
//! turn out. It knows no socket, and sends nothing.

use outpost::{Envelope, EnvelopeId, Notify, Recipient, Ret, ReversePath, address};
use smtp_policy::request::Orcpt;

/// The most recipients of one message.
const RECIPIENTS: usize = 1000;
/// The mistakes after which nobody listens any more.
const MISTAKES: u32 = 20;

/// The step after a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A reply, and the next command.
    Reply(Vec<String>),
    /// A reply, and the text of the message.
    Text(String),
    /// A reply, and the end.
    Close(String),
}

/// One dialogue.
#[derive(Debug)]
pub(super) struct Session {
    /// The name of this machine.
    name: String,
    /// The most bytes of a message.
    limit: u64,
    greeted: bool,
    envelope: Option<Envelope>,
    mistakes: u32,
}

/// A reply to something that is wrong.
pub(super) type Wrong = &'static str;

const ADDRESS: Wrong = "501 5.1.3 Error: bad address syntax";
const SYNTAX: Wrong = "501 5.5.4 Error: bad syntax";
const PARAMETER: Wrong = "555 5.5.4 Error: unsupported parameter";
/// The reply to a line of more bytes than are read.
pub(super) const TOO_LONG: Wrong = "500 5.5.2 Error: line is too long";
/// The reply to a line that is no text.
pub(super) const NOT_UTF8: Wrong = "500 5.5.2 Error: line is not UTF-8";

impl Session {
    pub(super) fn new(name: &str, limit: u64) -> Self {
        Self {
            name: name.to_owned(),
            limit,
            greeted: false,
            envelope: None,
            mistakes: 0,
        }
    }

    /// The words at the beginning.
    pub(super) fn greeting(&self) -> String {
        format!("220 {} ESMTP outpost", self.name)
    }

    /// The turn after a command, which is without its line end, or after a line that is none.
    pub(super) fn command(&mut self, line: Result<&str, Wrong>) -> Turn {
        let done = line.and_then(|line| {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            self.dispatch(&verb.trim_end().to_ascii_uppercase(), rest.trim())
        });
        done.unwrap_or_else(|wrong| {
            self.mistakes += 1;
            match self.mistakes < MISTAKES {
                true => Turn::Reply(vec![wrong.to_owned()]),
                false => Turn::Close("421 4.7.0 Error: too many errors".to_owned()),
            }
        })
    }

    /// The envelope of the message whose text has come; the next one begins.
    pub(super) fn take(&mut self) -> Envelope {
        let envelope = self.envelope.take();
        envelope.unwrap_or_else(|| Envelope::from_parts(ReversePath::Null, Vec::new()))
    }

    fn dispatch(&mut self, verb: &str, rest: &str) -> Result<Turn, Wrong> {
        let one = |text: &str| Ok(Turn::Reply(vec![text.to_owned()]));
        match verb {
            "EHLO" | "HELO" if rest.is_empty() => Err("501 5.5.4 Error: a name is missing"),
            "EHLO" => {
                self.begin();
                Ok(Turn::Reply(self.capabilities()))
            }
            "HELO" => {
                self.begin();
                one(&format!("250 {}", self.name))
            }
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => match &self.envelope {
                None => Err("503 5.5.1 Error: need MAIL command"),
                Some(envelope) if envelope.recipients.is_empty() => {
                    Err("554 5.5.1 Error: no valid recipients")
                }
                Some(_) if !rest.is_empty() => Err(SYNTAX),
                Some(_) => Ok(Turn::Text("354 End data with <CR><LF>.<CR><LF>".to_owned())),
            },
            "RSET" => {
                self.envelope = None;
                one("250 2.0.0 Ok")
            }
            "NOOP" => one("250 2.0.0 Ok"),
            "VRFY" if rest.is_empty() => Err(SYNTAX),
            "VRFY" => one("252 2.0.0 Send some mail, it is not known before"),
            "QUIT" => Ok(Turn::Close("221 2.0.0 Bye".to_owned())),
            "HELP" => one("214 2.0.0 See 'outpost sendmail --help'"),
            "AUTH" | "STARTTLS" | "EXPN" | "BDAT" | "ETRN" => {
                Err("502 5.5.1 Error: command not implemented")
            }
            _ => Err("500 5.5.2 Error: command not recognized"),
        }
    }

    fn begin(&mut self) {
        self.greeted = true;
        self.envelope = None;
    }

    fn capabilities(&self) -> Vec<String> {
        vec![
            format!("250-{}", self.name),
            "250-PIPELINING".to_owned(),
            format!("250-SIZE {}", self.limit),
            "250-VRFY".to_owned(),
            "250-ENHANCEDSTATUSCODES".to_owned(),
            "250-8BITMIME".to_owned(),
            "250-SMTPUTF8".to_owned(),
            "250 DSN".to_owned(),
        ]
    }

    fn mail(&mut self, rest: &str) -> Result<Turn, Wrong> {
        if !self.greeted {
            return Err("503 5.5.1 Error: send HELO or EHLO first");
        }
        if self.envelope.is_some() {
            return Err("503 5.5.1 Error: nested MAIL command");
        }
        let (path, parameters) = path(rest, "FROM:")?;
        let mut found = address::parse_list(path).map_err(|_| ADDRESS)?;
        let sender = match (found.pop(), found.is_empty()) {
            (None, _) => ReversePath::Null,
            (Some(address), true) => ReversePath::Mailbox(address),
            (Some(_), false) => return Err(ADDRESS),
        };
        let mut envelope = Envelope::from_parts(sender, Vec::new());
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => {
                    let size: u64 = value.parse().map_err(|_| SYNTAX)?;
                    if size > self.limit {
                        return Err("552 5.3.4 Error: message size exceeds fixed limit");
                    }
                }
                // The text itself decides.
                "BODY"
                    if ["7BIT", "8BITMIME"]
                        .iter()
                        .any(|body| body.eq_ignore_ascii_case(value)) => {}
                "SMTPUTF8" if value.is_empty() => {}
                "RET" => envelope.ret = Some(Ret::parse(value).ok_or(SYNTAX)?),
                "ENVID" => {
                    let text = decoded(value).ok_or(SYNTAX)?;
                    envelope.envid = Some(EnvelopeId::parse(text).map_err(|_| SYNTAX)?);
                }
                _ => return Err(PARAMETER),
            }
        }
        self.envelope = Some(envelope);
        Ok(Turn::Reply(vec!["250 2.1.0 Ok".to_owned()]))
    }

    fn rcpt(&mut self, rest: &str) -> Result<Turn, Wrong> {
        let Some(envelope) = &mut self.envelope else {
            return Err("503 5.5.1 Error: need MAIL command");
        };
        let (path, parameters) = path(rest, "TO:")?;
        let mut found = address::parse_list(path).map_err(|_| ADDRESS)?;
        let (Some(address), true) = (found.pop(), found.is_empty()) else {
            return Err(ADDRESS);
        };
        let mut recipient = Recipient::new(address);
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "NOTIFY" => {
                    let notify = Notify::parse(value).filter(|notify| !notify.is_none());
                    recipient.notify = notify.ok_or(SYNTAX)?;
                }
                "ORCPT" => {
                    let (kind, address) = value.split_once(';').ok_or(SYNTAX)?;
                    let address = decoded(address).ok_or(SYNTAX)?;
                    recipient.orcpt = Some(Orcpt::new(kind, address).map_err(|_| SYNTAX)?);
                }
                _ => return Err(PARAMETER),
            }
        }
        if envelope.recipients.len() >= RECIPIENTS {
            return Err("452 4.5.3 Error: too many recipients");
        }
        envelope.recipients.push(recipient);
        Ok(Turn::Reply(vec!["250 2.1.5 Ok".to_owned()]))
    }
}

/// The path of a command, and the parameters behind it. White space before the path is suffered, and a path
/// without brackets.
fn path<'a>(rest: &'a str, word: &str) -> Result<(&'a str, &'a str), Wrong> {
    let (head, tail) = rest.split_at_checked(word.len()).ok_or(SYNTAX)?;
    if !head.eq_ignore_ascii_case(word) {
        return Err(SYNTAX);
    }
    let tail = tail.trim_start();
    let (mut quoted, mut escaped) = (false, false);
    let ends = |c: char| match (escaped, c) {
        (true, _) => {
            escaped = false;
            false
        }
        (false, '\\') => {
            escaped = true;
            false
        }
        (false, '"') => {
            quoted = !quoted;
            false
        }
        (false, c) => c.is_whitespace() && !quoted,
    };
    let end = tail.find(ends).unwrap_or(tail.len());
    match tail.split_at_checked(end) {
        Some((path, parameters)) if !path.is_empty() => Ok((path, parameters)),
        _ => Err(SYNTAX),
    }
}

/// The text that xtext stands for (RFC 3461 section 4).
fn decoded(xtext: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = xtext.split('+');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
