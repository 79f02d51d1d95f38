//! The options of sendmail(1): from a command line to what is to be done. The order of rules
//! is that of Postfix (`src/sendmail/sendmail.c`).

use std::{ffi::OsString, path::Path};

use outpost::{Address, EnvelopeId, Notify, Ret, ReversePath, address};

use super::input::Dots;
use crate::{
    cli::SendmailArgs,
    exit::{Exit, Failure},
};

/// The names of links by which the program is called as sendmail(1), and the options that go
/// with them.
const LINKS: [(&str, &[&str]); 4] = [
    ("sendmail", &[]),
    ("outpost-sendmail", &[]),
    ("mailq", &["-bp"]),
    ("newaliases", &["-bi"]),
];
const SUBCOMMAND: &str = "sendmail";
/// Options whose value is the next argument.
const WITH_VALUE: [&str; 18] = [
    "-f",
    "-r",
    "-F",
    "-N",
    "-R",
    "-V",
    "-B",
    "-b",
    "-o",
    "-O",
    "-A",
    "-C",
    "-L",
    "-X",
    "-e",
    "-p",
    "--account",
    "--file",
];

/// The command line as clap can read it. A link's name becomes a subcommand, and options of
/// sendmail(1) that are like no others get another form: `-q` with and without a value, and
/// `-h` with the number of hops, which says nothing.
pub(crate) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given = given.into_iter();
    let Some(program) = given.next() else {
        return Vec::new();
    };
    let name = Path::new(&program).file_stem().unwrap_or_default();
    let link = LINKS.into_iter().find(|(link, _)| name == *link);
    let rest: Vec<OsString> = given.collect();
    match link {
        Some((_, options)) => {
            let mut all = vec!["outpost".into(), SUBCOMMAND.into()];
            all.extend(options.iter().map(OsString::from));
            all.extend(translated(rest));
            all
        }
        None => {
            let (before, after) = match rest.iter().position(|word| word == SUBCOMMAND) {
                // Behind another word it is that one's argument.
                Some(place) if rest.iter().take(place).all(is_option) => rest.split_at(place + 1),
                _ => (rest.as_slice(), [].as_slice()),
            };
            let mut all = vec![program];
            all.extend_from_slice(before);
            all.extend(translated(after.to_vec()));
            all
        }
    }
}

fn is_option(word: &OsString) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

fn translated(given: Vec<OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let mut given = given.into_iter().peekable();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    while let Some(word) = given.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            all.push(word);
            all.extend(given);
            break;
        } else if WITH_VALUE.contains(&text) {
            all.push(word);
            all.extend(given.next());
        } else if text.starts_with("-q") {
            all.push("--queue-run".into());
        } else if text == "-h" {
            match given.next_if(|next| next.to_str().is_some_and(is_number)) {
                Some(_) => {}
                None => all.push("--help".into()),
            }
        } else if !text.strip_prefix("-h").is_some_and(is_number) {
            all.push(word);
        }
    }
    all
}

/// The mode of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Send a message (`-bm`).
    Send,
    /// Speak SMTP on standard input and output (`-bs`).
    Smtp,
    /// List the queue (`-bp`, mailq).
    Queue,
    /// Send what is in the queue (`-q`).
    Flush,
    /// Build the tables of aliases (`-bi`, newaliases).
    Aliases,
    /// Nothing, since there is nothing to know about hosts (`-bh`, `-bH`).
    Nothing,
}

/// The options of one call.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) mode: Mode,
    /// Recipients stand in the header (`-t`).
    pub(super) extract: bool,
    pub(super) dots: Dots,
    pub(super) sender: Option<ReversePath>,
    pub(super) full_name: Option<String>,
    pub(super) notify: Notify,
    pub(super) ret: Option<Ret>,
    pub(super) envid: Option<EnvelopeId>,
    pub(super) require_tls: bool,
    pub(super) recipients: Vec<Address>,
}

impl Options {
    /// Understands the options.
    ///
    /// # Errors
    /// One of them cannot be understood, or cannot be had ([`Exit::Usage`]).
    pub(super) fn of(args: &SendmailArgs) -> Result<Self, Failure> {
        refuse_what_cannot_be_had(args)?;
        let old = &args.others.old;
        let ignores_dots = args.ignore_dots || old.iter().any(|value| value.starts_with('i'));
        let mode = mode(args)?;
        let sender = args.sender.as_ref().or(args.sender_too.as_ref());
        let mut recipients = Vec::new();
        for text in &args.recipients {
            let found =
                address::parse_list(text).map_err(|why| usage(format!("recipient {why}")))?;
            if found.is_empty() {
                return Err(usage(format!(
                    "recipient '{text}': there is no address in it"
                )));
            }
            recipients.extend(found);
        }
        if mode != Mode::Send && (args.extract || !recipients.is_empty()) {
            return Err(usage("recipients and -t are for sending only"));
        }
        if mode == Mode::Send && !args.extract && recipients.is_empty() {
            return Err(usage(
                "recipients must be specified on the command line or via the -t option",
            ));
        }
        Ok(Self {
            mode,
            extract: args.extract,
            dots: if ignores_dots { Dots::Text } else { Dots::End },
            sender: sender.map(|text| self::sender(text)).transpose()?,
            full_name: args.full_name.clone(),
            notify: args.notify.as_deref().map_or(Ok(Notify::NONE), notify)?,
            ret: args.ret.as_deref().map(ret).transpose()?,
            envid: args.envid.as_deref().map(envid).transpose()?,
            require_tls: require_tls(&args.settings)?,
            recipients,
        })
    }
}

fn usage(what: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, what)
}

/// Refuses options that mean something to Postfix and cannot be had here: to ignore them would not be
/// what the caller asked for.
fn refuse_what_cannot_be_had(args: &SendmailArgs) -> Result<(), Failure> {
    let others = &args.others;
    let body = args.body.as_deref().unwrap_or("7BIT");
    let rules = [
        (others.no_aliases, "-n is not supported"),
        (
            others.config.is_some(),
            "-C is not supported: --file names the accounts file",
        ),
        (others.log.is_some(), "-X is not supported"),
        (
            !["7BIT", "8BITMIME"]
                .iter()
                .any(|known| body.eq_ignore_ascii_case(known)),
            "-B needs 7BIT or 8BITMIME",
        ),
        (
            others.old.iter().any(|value| value == "A"),
            "-oA needs the name of a file",
        ),
        (
            others.old.iter().any(String::is_empty),
            "-o needs an option",
        ),
    ];
    match rules.into_iter().find(|(is_wrong, _)| *is_wrong) {
        Some((_, what)) => Err(usage(what)),
        None => Ok(()),
    }
}

fn mode(args: &SendmailArgs) -> Result<Mode, Failure> {
    let letter = args.mode.as_deref().map(|mode| mode.chars().next());
    Ok(match letter {
        _ if args.others.new_aliases => Mode::Aliases,
        None if args.others.queue_run => Mode::Flush,
        None | Some(Some('m')) => Mode::Send,
        Some(Some('s')) => Mode::Smtp,
        Some(Some('p')) => Mode::Queue,
        Some(Some('i')) => Mode::Aliases,
        Some(Some('h' | 'H')) => Mode::Nothing,
        Some(Some('d' | 'D' | 'l')) => {
            let what = "-bd: this is no mail server, and nothing is received";
            return Err(Failure::new(Exit::Bounced, what));
        }
        Some(Some('v')) => {
            let what = "-bv is not supported: 'outpost probe' shows where mail goes";
            return Err(Failure::new(Exit::Bounced, what));
        }
        Some(other) => {
            let other = other.map(String::from).unwrap_or_default();
            return Err(usage(format!("-b{other} is not supported")));
        }
    })
}

fn sender(text: &str) -> Result<ReversePath, Failure> {
    let wrong = |why: &str| usage(format!("-f '{text}': {why}"));
    let mut found = address::parse_list(text).map_err(|why| wrong(&why.to_string()))?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(ReversePath::Null),
        (Some(address), true) => Ok(ReversePath::Mailbox(address)),
        (Some(_), false) => Err(wrong("expected one address")),
    }
}

fn notify(text: &str) -> Result<Notify, Failure> {
    let parsed = Notify::parse(text).filter(|notify| !notify.is_none());
    parsed.ok_or_else(|| {
        usage(format!(
            "-N '{text}': expected never, or some of delay, failure, success"
        ))
    })
}

fn ret(text: &str) -> Result<Ret, Failure> {
    Ret::parse(text).ok_or_else(|| usage(format!("-R '{text}': expected full or hdrs")))
}

/// RFC 3461 section 4.4 has the limit.
fn envid(text: &str) -> Result<EnvelopeId, Failure> {
    const LIMIT: usize = 100;
    if text.len() > LIMIT {
        return Err(usage(format!("-V: the value is longer than {LIMIT} bytes")));
    }
    EnvelopeId::parse(text).map_err(|why| usage(format!("-V: {why}")))
}

/// `-O REQUIRETLS=yes`, of which the last one counts.
fn require_tls(settings: &[String]) -> Result<bool, Failure> {
    let mut required = false;
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        if name.eq_ignore_ascii_case("REQUIRETLS") {
            required = match value.to_ascii_lowercase().as_str() {
                "yes" => true,
                "no" => false,
                _ => return Err(usage("-O REQUIRETLS needs yes or no")),
            };
        }
    }
    Ok(required)
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
