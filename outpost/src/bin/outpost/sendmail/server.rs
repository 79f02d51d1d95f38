//! `-bs`: the dialogue on standard input and output. A message is handed on before its text is answered, so
//! that 250 means that a server has it.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
};

use outpost::{Envelope, Report, Status};
use smtp_policy::{report::printable, request::TlsWish};

use super::{
    MEBIBYTES, courier,
    head::Head,
    input::{Dots, Text},
    message,
    session::{NOT_UTF8, Session, TOO_LONG, Turn, Wrong},
};
use crate::{
    account::{Accounts, Way, Wish, locate},
    cli::SendmailArgs,
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    settings, user,
};

/// The longest command, in bytes.
const LINE: u64 = 4096;
/// The longest line of a reply, without its end (RFC 5321 section 4.5.3.1.5).
const REPLY: usize = 510;
/// The biggest piece of input that is read at once. It is more than standard input itself holds, so that what is
/// left in the buffer is all there is.
const BUFFER: usize = 64 * 1024;

/// Serves the program that started this one, until it says QUIT or closes.
pub(super) fn run(args: &SendmailArgs) -> Result<Exit, Failure> {
    let accounts = Accounts::read(&locate(args.file.as_deref())?)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    let mut server = Server {
        args,
        accounts: &accounts,
        interrupt: &interrupt,
        ways: BTreeMap::new(),
    };
    let input = BufReader::with_capacity(BUFFER, io::stdin().lock());
    let done = server.serve(input, io::stdout().lock());
    server.ways.values().for_each(Way::close);
    done
}

/// Everything that messages of a dialogue share.
struct Server<'a> {
    args: &'a SendmailArgs,
    accounts: &'a Accounts,
    interrupt: &'a Interrupt,
    /// The ways out that have been made, by the name of their account.
    ways: BTreeMap<String, Way>,
}

impl Server<'_> {
    fn serve(
        &mut self,
        mut input: BufReader<impl Read>,
        output: impl Write,
    ) -> Result<Exit, Failure> {
        let mut output = io::BufWriter::new(output);
        let mut session = Session::new(&settings::host_name(), MEBIBYTES << 20);
        say(&mut output, &[session.greeting()])?;
        loop {
            // A client that sends commands together gets the replies together.
            if input.buffer().is_empty() {
                output.flush().or_exit(Exit::Output)?;
                let end = || std::process::exit(i32::from(Exit::Deferred.status()));
                self.interrupt.on_first(Box::new(end));
            }
            let Some(command) = command(&mut input).or_exit(Exit::Data)? else {
                return Ok(Exit::Ok);
            };
            match session.command(command.text.as_deref().map_err(|wrong| *wrong)) {
                Turn::Reply(lines) => say(&mut output, &lines)?,
                Turn::Close(line) => {
                    say(&mut output, &[line])?;
                    output.flush().or_exit(Exit::Output)?;
                    return Ok(Exit::Ok);
                }
                Turn::Text(line) => {
                    say(&mut output, &[line])?;
                    output.flush().or_exit(Exit::Output)?;
                    let mut text = Text::new(&mut input, command.dots);
                    let reply = self.take(session.take(), &mut text);
                    while text.line().or_exit(Exit::Data)?.is_some() {}
                    if !text.ended_with_dot() {
                        let what = "the input ended in the middle of a message, which is not sent";
                        return Err(Failure::new(Exit::Data, what));
                    }
                    say(&mut output, &reply)?;
                }
            }
        }
    }

    /// Reads a message, sends it, and says what became of it.
    fn take(&mut self, envelope: Envelope, text: &mut Text<impl BufRead>) -> Vec<String> {
        let sent = self.send(envelope, text);
        sent.map_or_else(|failure| refusal(&failure), |report| reply(&report))
    }

    fn send(
        &mut self,
        mut envelope: Envelope,
        text: &mut Text<impl BufRead>,
    ) -> Result<Report, Failure> {
        let head = Head::read(text).or_exit(Exit::Data)?;
        let chosen = self.accounts.choose(Wish {
            account: self.args.account.clone(),
            sender: Some(envelope.sender.clone()),
            from: None,
            user: user::login_name(),
        })?;
        let account = chosen.account;
        envelope.recipients = courier::with_domains(envelope.recipients, self.accounts, account)?;
        envelope.tls = match head.waives_tls() {
            true => TlsWish::Waived,
            false => TlsWish::Unsaid,
        };
        let full_name = self.args.full_name.as_deref();
        let message = message(head, &mut *text, &chosen, full_name)?;
        if !text.ended_with_dot() {
            return Err(Failure::new(Exit::Data, "the message has no end"));
        }
        envelope.sender = chosen.sender;
        let way = match self.ways.get(&account.name) {
            Some(way) => way.clone(),
            None => {
                let way = account.way()?;
                self.ways.insert(account.name.clone(), way.clone());
                way
            }
        };
        let report = courier::send(&way, envelope, message, self.interrupt)?;
        courier::tell(&report, false);
        Ok(report)
    }
}

/// A command.
struct Command {
    /// Its text without the line end, or the reply to a line that is none.
    text: Result<String, Wrong>,
    /// The way in which the text of a message ends that comes behind it.
    dots: Dots,
}

/// Reads a command; none at the end of the input.
fn command(input: &mut impl BufRead) -> io::Result<Option<Command>> {
    let mut line = Vec::new();
    let mut is_long = false;
    loop {
        let read = input.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        if read == 0 || line.ends_with(b"\n") {
            break;
        }
        if line.len() as u64 >= LINE {
            is_long = true;
            line.clear();
        }
    }
    if line.is_empty() && !is_long {
        return Ok(None);
    }
    let dots = match line.ends_with(b"\r\n") {
        true => Dots::Smtp,
        false => Dots::SmtpLf,
    };
    let text = match String::from_utf8(line) {
        _ if is_long => Err(TOO_LONG),
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(_) => Err(NOT_UTF8),
    };
    Ok(Some(Command { text, dots }))
}

fn say(output: &mut impl Write, lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        write!(output, "{}\r\n", printable(line)).or_exit(Exit::Output)?;
    }
    Ok(())
}

/// The reply to a message that was not tried.
fn refusal(failure: &Failure) -> Vec<String> {
    let code = match failure.exit {
        Exit::NoUser => "550 5.1.1",
        Exit::Data => "554 5.6.0",
        Exit::Usage | Exit::Bounced => "554 5.3.0",
        Exit::Config => "451 4.3.5",
        _ => "451 4.3.0",
    };
    lines(code, &[failure.to_string()])
}

/// The reply to a message that was tried. There is one for all recipients: what can be tried again wins, since no
/// mail must be lost, and it names who has the message already.
fn reply(report: &Report) -> Vec<String> {
    let worst = [Status::Deferred, Status::Bounced]
        .into_iter()
        .find_map(|status| {
            let mut outcomes = report.recipients.iter().map(|(_, outcome)| outcome);
            outcomes.find(|outcome| outcome.status == status)
        });
    let Some(worst) = worst else {
        let count = report.recipients.len();
        return vec![format!("250 2.0.0 Ok: sent to {count} recipient(s)")];
    };
    let (code, class) = match worst.status {
        Status::Bounced => (550, 5),
        _ => (451, 4),
    };
    let verdicts: Vec<String> = report
        .recipients
        .iter()
        .map(|(recipient, outcome)| courier::line(recipient, outcome))
        .collect();
    lines(
        &format!("{code} {}", worst.code.with_class(class)),
        &verdicts,
    )
}

/// A reply of so many lines. `code` is both codes.
fn lines(code: &str, texts: &[String]) -> Vec<String> {
    let last = texts.len().saturating_sub(1);
    let line = |(index, text): (usize, &String)| {
        let code = match index == last {
            true => code.to_owned(),
            false => code.replacen(' ', "-", 1),
        };
        let mut line = format!("{code} {}", printable(text));
        let mut end = REPLY.min(line.len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line
    };
    texts.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_up_to_a_limit() {
        let long = "x".repeat(10_000);
        let mut bytes = format!("EHLO a\r\nNOOP\n{long}\r\n").into_bytes();
        bytes.extend_from_slice(b"RCPT TO:<\xff@x>\r\nQUIT");
        let mut input = bytes.as_slice();
        let mut next = || command(&mut input).ok().flatten().map(|c| (c.text, c.dots));
        assert_eq!(next(), Some((Ok("EHLO a".to_owned()), Dots::Smtp)));
        assert_eq!(next(), Some((Ok("NOOP".to_owned()), Dots::SmtpLf)));
        assert_eq!(next(), Some((Err(TOO_LONG), Dots::Smtp)));
        assert_eq!(next(), Some((Err(NOT_UTF8), Dots::Smtp)));
        assert_eq!(next(), Some((Ok("QUIT".to_owned()), Dots::SmtpLf)));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_reply_has_lines_of_bounded_length() {
        let reply = lines("451 4.3.0", &["a\nb".to_owned(), "ü".repeat(400)]);
        assert_eq!(reply.first().map(String::as_str), Some("451-4.3.0 a?b"));
        let last = reply.last().map(String::as_str).unwrap_or_default();
        assert!(
            last.starts_with("451 4.3.0 ü") && last.len() <= REPLY,
            "{last}"
        );
    }
}
