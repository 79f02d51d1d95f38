//! The command line of a delivery agent: what master(8) adds, and what stands in master.cf
//! (`src/master/single_server.c`, `src/smtp/smtp.c`).
//!
//! ```
//! use postfix_ipc::command_line::{CommandLine, Switch};
//!
//! let words = ["smtp", "-n", "relay", "-t", "unix", "-u", "-o", "smtp_helo_name = a b", "flags=DR"];
//! let command_line = CommandLine::parse(words)?;
//! assert_eq!(command_line.service_name, "relay");
//! assert!(command_line.has(Switch::Unprivileged) && command_line.flags.return_path);
//! assert_eq!(command_line.parameters, [("smtp_helo_name".to_owned(), "a b".to_owned())]);
//!
//! let error = CommandLine::parse(["smtp", "-t", "unix", "-o", "soft_bounce"]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "invalid \"-o soft_bounce\" option value: missing '=' after attribute name"
//! );
//! # Ok::<(), postfix_ipc::command_line::UsageError>(())
//! ```

use core::fmt;
use std::collections::BTreeSet;

use smtp_policy::{Protocol, report::printable, request::DeliveryFlags};

/// The command line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The base name of the program, as it was called: for `process_name` and the log.
    pub process_name: String,
    /// The name of the service (`-n`), by default that of the program: for `service_name`, and the
    /// name of the socket.
    pub service_name: String,
    /// The type of the service (`-t`); `None` only with [`Switch::Standalone`].
    pub transport: Option<Transport>,
    /// Options without a value.
    pub switches: BTreeSet<Switch>,
    /// Parameters of main.cf to set, in this order: `-o`, and also `-i` and `-m`.
    pub parameters: Vec<(String, String)>,
    /// The number of `-v`.
    pub verbosity: u32,
    /// The seconds after which to leave (`-r`).
    pub retirement: Option<u32>,
    /// The number of sockets to accept from (`-s`).
    pub sockets: u32,
    /// `flags=`, of which the last counts.
    pub flags: DeliveryFlags,
    /// `protocol=`, an addition of ours; see [`protocol`](Self::protocol).
    pub protocol_word: Option<Protocol>,
    /// `mode=`, an addition of ours.
    pub mode: Mode,
}

/// An option without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Switch {
    /// `-c`: run in the queue directory as the root directory.
    Chroot,
    /// `-d`: master(8) runs in the foreground.
    Foreground,
    /// `-D`: start a debugger.
    Debugger,
    /// `-l`: the process limit is 1.
    Alone,
    /// `-S`: serve one request on standard input and output, and leave.
    Standalone,
    /// `-u`: give up root's privileges.
    Unprivileged,
    /// `-V`: log to standard error as well.
    LogToStderr,
    /// `-z`: there is no process limit.
    Unlimited,
}

/// The type of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP socket.
    Inet,
    /// A UNIX-domain socket.
    Unix,
    /// A UNIX-domain socket over which connections are passed.
    Pass,
}

/// The division of requests among processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A process serves one request at a time, as smtp(8) does.
    #[default]
    Classic,
    /// One process serves all requests.
    Shared,
}

/// The mistake in a command line. Its `Display` is Postfix's text of the fatal error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// An option that is unknown, or lacks its value.
    Option(char),
    /// The value of `-o` is no `name=value`.
    Parameter {
        /// The value.
        text: String,
        /// The reason.
        reason: &'static str,
    },
    /// The value of `-r` is not above zero.
    Retirement(String),
    /// The value of `-s` is not above zero.
    Sockets(String),
    /// There is no `-t`.
    NoTransport,
    /// The value of `-t` is unknown.
    Transport(String),
    /// A word behind the options that is unknown.
    Attribute(String),
    /// A word behind the options with an unknown value.
    Value {
        /// The word.
        word: String,
        /// The part of its value that is unknown.
        unknown: String,
    },
}

/// The effect of an option.
enum Effect {
    Switch(Switch),
    Verbose,
    Value(fn(&mut CommandLine, &str) -> Result<(), UsageError>),
}

/// All options.
#[rustfmt::skip]
const OPTIONS: &[(char, Effect)] = &[
    ('c', Effect::Switch(Switch::Chroot)),
    ('d', Effect::Switch(Switch::Foreground)),
    ('D', Effect::Switch(Switch::Debugger)),
    ('i', Effect::Value(|line, value| line.parameter("max_idle", value))),
    ('l', Effect::Switch(Switch::Alone)),
    ('m', Effect::Value(|line, value| line.parameter("max_use", value))),
    ('n', Effect::Value(|line, value| { line.service_name = value.to_owned(); Ok(()) })),
    ('o', Effect::Value(CommandLine::assignment)),
    ('r', Effect::Value(CommandLine::set_retirement)),
    ('s', Effect::Value(CommandLine::set_sockets)),
    ('S', Effect::Switch(Switch::Standalone)),
    ('t', Effect::Value(CommandLine::set_transport)),
    ('u', Effect::Switch(Switch::Unprivileged)),
    ('v', Effect::Verbose),
    ('V', Effect::Switch(Switch::LogToStderr)),
    ('z', Effect::Switch(Switch::Unlimited)),
];

impl CommandLine {
    /// Reads a command line, the name of the program included.
    ///
    /// Options are read as getopt(3) does: letters may stand together, a value may follow its
    /// letter at once, and the first other word ends them.
    ///
    /// # Errors
    /// The first mistake in it. The agent logs it and ends with 1.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UsageError> {
        let mut words = words.into_iter().peekable();
        let program = words.next().unwrap_or_default();
        let process_name = program.rsplit('/').next().unwrap_or_default();
        let mut line = Self {
            process_name: process_name.to_owned(),
            service_name: process_name.to_owned(),
            transport: None,
            switches: BTreeSet::new(),
            parameters: Vec::new(),
            verbosity: 0,
            retirement: None,
            sockets: 1,
            flags: DeliveryFlags::default(),
            protocol_word: None,
            mode: Mode::default(),
        };
        while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
            match word {
                "--" => break,
                _ => line.options(word, &mut words)?,
            }
        }
        if line.transport.is_none() && !line.has(Switch::Standalone) {
            return Err(UsageError::NoTransport);
        }
        words.try_for_each(|word| line.attribute(word))?;
        Ok(line)
    }

    /// True if an option without a value was given.
    pub fn has(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }

    /// The protocol of the service, by `protocol=` or else by the name of the program;
    /// `None` if neither tells.
    pub fn protocol(&self) -> Option<Protocol> {
        let by_name = || protocol(&self.process_name);
        self.protocol_word.or_else(by_name)
    }

    /// Takes a word of options, and the next word if the last of them wants a value.
    fn options<'a>(
        &mut self,
        word: &'a str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), UsageError> {
        let mut letters = word.chars();
        letters.next();
        while let Some(letter) = letters.next() {
            let option = OPTIONS.iter().find(|(known, _)| *known == letter);
            let (_, effect) = option.ok_or(UsageError::Option(letter))?;
            match effect {
                Effect::Switch(switch) => drop(self.switches.insert(*switch)),
                Effect::Verbose => self.verbosity = self.verbosity.saturating_add(1),
                Effect::Value(take) => {
                    let rest = Some(letters.as_str()).filter(|rest| !rest.is_empty());
                    let value = rest.or_else(|| words.next());
                    return take(self, value.ok_or(UsageError::Option(letter))?);
                }
            }
        }
        Ok(())
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), UsageError> {
        self.parameters.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn assignment(&mut self, text: &str) -> Result<(), UsageError> {
        let fail = |reason| {
            let text = text.to_owned();
            Err(UsageError::Parameter { text, reason })
        };
        const SPACE: &[char] = &[' ', '\t', '\n', '\r', '\x0b', '\x0c'];
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim_matches(SPACE), Some(value)),
            None => (text.trim_matches(SPACE), None),
        };
        match value {
            _ if name.is_empty() => fail("missing attribute name"),
            Some(value) if !name.contains(SPACE) => self.parameter(name, value.trim_matches(SPACE)),
            _ => fail("missing '=' after attribute name"),
        }
    }

    fn set_retirement(&mut self, text: &str) -> Result<(), UsageError> {
        let seconds = number(text).ok_or_else(|| UsageError::Retirement(text.to_owned()))?;
        self.retirement = Some(seconds);
        Ok(())
    }

    fn set_sockets(&mut self, text: &str) -> Result<(), UsageError> {
        self.sockets = number(text).ok_or_else(|| UsageError::Sockets(text.to_owned()))?;
        Ok(())
    }

    fn set_transport(&mut self, text: &str) -> Result<(), UsageError> {
        let known = [
            ("inet", Transport::Inet),
            ("unix", Transport::Unix),
            ("pass", Transport::Pass),
        ];
        let found = known
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        let unknown = || UsageError::Transport(text.to_owned());
        self.transport = Some(found.ok_or_else(unknown)?.1);
        Ok(())
    }

    /// Takes a word behind the options.
    fn attribute(&mut self, word: &str) -> Result<(), UsageError> {
        let unknown = |text: &str| UsageError::Value {
            word: word.to_owned(),
            unknown: text.to_owned(),
        };
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name.to_ascii_lowercase().as_str() {
            _ if !word.contains('=') => Err(UsageError::Attribute(word.to_owned())),
            "flags" => {
                let flags = value.chars().try_fold(DeliveryFlags::default(), flag);
                self.flags = flags.map_err(|letter| unknown(&letter.to_string()))?;
                Ok(())
            }
            "protocol" => {
                self.protocol_word = Some(protocol(value).ok_or_else(|| unknown(value))?);
                Ok(())
            }
            "mode" => {
                self.mode = match value {
                    "classic" => Mode::Classic,
                    "shared" => Mode::Shared,
                    other => return Err(unknown(other)),
                };
                Ok(())
            }
            _ => Err(UsageError::Attribute(word.to_owned())),
        }
    }
}

/// Flags with one more letter; the letter if it is unknown.
fn flag(mut flags: DeliveryFlags, letter: char) -> Result<DeliveryFlags, char> {
    match letter {
        'D' => flags.delivered_to = true,
        'O' => flags.original_to = true,
        'R' => flags.return_path = true,
        'X' => flags.final_delivery = true,
        other => return Err(other),
    }
    Ok(flags)
}

fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "smtp" => Some(Protocol::Smtp),
        "lmtp" => Some(Protocol::Lmtp),
        _ => None,
    }
}

/// A number above zero as atoi(3) reads it: what stands behind the digits does not count.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..end)?.parse().ok().filter(|&number| number > 0)
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Option(letter) => format!("invalid option: {letter}"),
            Self::Parameter { text, reason } => {
                format!("invalid \"-o {text}\" option value: {reason}")
            }
            Self::Retirement(text) => format!("invalid retirement time: {text}"),
            Self::Sockets(text) => format!("invalid socket_count: {text}"),
            Self::NoTransport => "no transport type specified".to_owned(),
            Self::Transport(text) => format!("unsupported transport type: {text}"),
            Self::Attribute(word) => format!("unknown attribute name: {word}"),
            Self::Value { word, unknown } => {
                let value = word.split_once('=').map_or("", |(_, value)| value);
                format!("unknown {word} value \"{unknown}\" in \"{value}\"")
            }
        };
        f.write_str(&printable(&text))
    }
}

impl core::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<CommandLine, UsageError> {
        CommandLine::parse(words.split(' '))
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let line =
            parse("/usr/lib/postfix/sbin/lmtp -cuvt unix -nbox -vv -s2 -r 60x -i 5s -m 7").unwrap();
        assert_eq!(
            (line.process_name.as_str(), line.service_name.as_str()),
            ("lmtp", "box")
        );
        assert_eq!(line.transport, Some(Transport::Unix));
        assert!(line.has(Switch::Chroot) && line.has(Switch::Unprivileged));
        assert_eq!(
            (line.verbosity, line.sockets, line.retirement),
            (3, 2, Some(60))
        );
        let parameters = line
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        assert_eq!(parameters.collect::<Vec<_>>(), ["max_idle=5s", "max_use=7"]);
        assert_eq!(line.protocol(), Some(Protocol::Lmtp));
        // The first other word ends them.
        assert_eq!(
            parse("smtp -t unix flags=D -v").unwrap_err(),
            UsageError::Attribute("-v".to_owned())
        );
        assert!(parse("smtp -t unix -- flags=D").unwrap().flags.delivered_to);
        assert_eq!(
            parse("smtp -t unix -").unwrap_err().to_string(),
            "unknown attribute name: -"
        );
        assert_eq!(parse("smtp -S").unwrap().transport, None);
        for switch in OPTIONS.iter().filter_map(|(letter, effect)| match effect {
            Effect::Switch(switch) => Some((*letter, *switch)),
            _ => None,
        }) {
            let line = parse(&format!("smtp -t UNIX -{}", switch.0)).unwrap();
            assert!(line.has(switch.1) && line.switches.len() == 1);
        }
    }

    #[test]
    fn assignments_may_have_blanks() {
        let set = |text: &str| {
            let line = CommandLine::parse(["smtp", "-t", "unix", "-o", text]);
            line.map(|line| line.parameters)
                .map_err(|error| error.to_string())
        };
        let is = |name: &str, value: &str| Ok(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(set("smtp_helo_name=x"), is("smtp_helo_name", "x"));
        assert_eq!(set(" smtp_helo_name = a b "), is("smtp_helo_name", "a b"));
        assert_eq!(set("a=b=c"), is("a", "b=c"));
        assert_eq!(set("a="), is("a", ""));
        for (text, reason) in [
            ("a", "missing '=' after attribute name"),
            ("a b=c", "missing '=' after attribute name"),
            ("=b", "missing attribute name"),
            (" ", "missing attribute name"),
        ] {
            let error = format!("invalid \"-o {text}\" option value: {reason}");
            assert_eq!(set(text), Err(error));
        }
    }

    #[test]
    fn words_behind_the_options_are_few() {
        let line =
            parse("outpost-agent -t unix flags=D FLAGS=RX mode=shared protocol=lmtp").unwrap();
        let DeliveryFlags {
            delivered_to,
            return_path,
            final_delivery,
            ..
        } = line.flags;
        assert!(!delivered_to && return_path && final_delivery);
        assert_eq!(
            (line.mode, line.protocol()),
            (Mode::Shared, Some(Protocol::Lmtp))
        );
        assert_eq!(parse("outpost-agent -t unix").unwrap().protocol(), None);
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_postfix() {
        for (words, text) in [
            ("smtp", "no transport type specified"),
            ("smtp -t", "invalid option: t"),
            ("smtp -x", "invalid option: x"),
            ("smtp -vé", "invalid option: é"),
            ("smtp -t tcp", "unsupported transport type: tcp"),
            ("smtp -s 0", "invalid socket_count: 0"),
            ("smtp -s x", "invalid socket_count: x"),
            ("smtp -r -1", "invalid retirement time: -1"),
            (
                "smtp -t unix flags=DZ",
                "unknown flags=DZ value \"Z\" in \"DZ\"",
            ),
            ("smtp -t unix flags", "unknown attribute name: flags"),
            ("smtp -t unix limit=3", "unknown attribute name: limit=3"),
            (
                "smtp -t unix mode=fast",
                "unknown mode=fast value \"fast\" in \"fast\"",
            ),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
        }
    }
}
