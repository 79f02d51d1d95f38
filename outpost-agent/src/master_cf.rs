//! master.cf: the services that master(8) runs, and the command lines that it makes for them
//! (`src/master/master_ent.c`).

use std::{
    fmt,
    iter::{self, Peekable},
    str::Chars,
};

use smtp_policy::tables::words::unbrace;

/// A service, as its line describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The number of the line on which it begins, from one.
    pub(crate) line: usize,
    pub(crate) name: String,
    /// `unix`, `inet`, `fifo`, `unix-dgram` or `pass`.
    pub(crate) transport: String,
    pub(crate) unprivileged: bool,
    /// None where the line says `-`: that depends on `compatibility_level`.
    pub(crate) chroot: Option<bool>,
    /// The most processes; zero: no limit. None where the line says `-`: `default_process_limit`.
    pub(crate) limit: Option<u32>,
    /// The program, relative to `daemon_directory`.
    pub(crate) command: String,
    /// The words behind it, braces taken off.
    pub(crate) arguments: Vec<String>,
}

/// A line that is no service. master(8) does not start with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// The number of the line on which it begins, from one.
    pub(crate) line: usize,
    why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// The services of a file, in order.
pub(crate) fn services(text: &str) -> impl Iterator<Item = Result<Service, BadLine>> {
    lines(text).map(|(line, text)| Service::parse(line, &text).map_err(|why| BadLine { line, why }))
}

impl Service {
    /// Types of sockets that master(8) knows.
    const TRANSPORTS: [&str; 5] = ["inet", "unix", "fifo", "unix-dgram", "pass"];

    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let mut words = Words(text.chars().peekable());
        let name = words.next().ok_or("missing \"service\" field")?;
        let transport = required(&mut words, "transport type")?;
        if !Self::TRANSPORTS.contains(&transport.as_str()) {
            return Err(format!("bad transport type: {transport}"));
        }
        let private = yes_or_no(&mut words, "private")?;
        if transport == "inet" && private != Some(false) {
            return Err("inet service cannot be private".to_owned());
        }
        let unprivileged = yes_or_no(&mut words, "unprivileged")?.unwrap_or(true);
        let chroot = yes_or_no(&mut words, "chroot")?;
        number(&mut words, "wakeup_time")?;
        let limit = number(&mut words, "max_proc")?;
        let command = required(&mut words, "command")?;
        let argument = |word: String| match word.starts_with('{') {
            true => unbrace(&word).map(|inside| inside.trim().to_owned()),
            false => Ok(word),
        };
        Ok(Self {
            line,
            name,
            transport,
            unprivileged,
            chroot,
            limit,
            command,
            arguments: words.map(argument).collect::<Result<_, _>>()?,
        })
    }

    /// The base name of the program.
    pub(crate) fn program(&self) -> &str {
        self.command.rsplit('/').next().unwrap_or_default()
    }

    /// The command line that master(8) makes, for these answers to what the line leaves open.
    pub(crate) fn command_line(&self, chroot: bool, limit: u32) -> Vec<String> {
        let mut words = vec![self.command.as_str()];
        match self.limit.unwrap_or(limit) {
            0 => words.push("-z"),
            1 => words.push("-l"),
            _ => {}
        }
        if self.program() != self.name {
            words.extend(["-n", &self.name]);
        }
        words.extend(["-t", &self.transport]);
        words.extend(self.unprivileged.then_some("-u"));
        words.extend(self.chroot.unwrap_or(chroot).then_some("-c"));
        let words = words.into_iter().map(str::to_owned);
        words.chain(self.arguments.iter().cloned()).collect()
    }
}

/// A field that has no default.
fn required(words: &mut Words<'_>, name: &str) -> Result<String, String> {
    match field(words, name)? {
        Some(value) => Ok(value),
        None => Err(format!("field \"{name}\" has no default value")),
    }
}

/// A field; none for `-`, its default.
fn field(words: &mut Words<'_>, name: &str) -> Result<Option<String>, String> {
    let value = words.next();
    let value = value.ok_or_else(|| format!("missing \"{name}\" field"))?;
    Ok((value != "-").then_some(value))
}

fn yes_or_no(words: &mut Words<'_>, name: &str) -> Result<Option<bool>, String> {
    match field(words, name)?.as_deref() {
        None => Ok(None),
        Some("y") => Ok(Some(true)),
        Some("n") => Ok(Some(false)),
        Some(value) => Err(format!("field \"{name}\": bad value: \"{value}\"")),
    }
}

/// A number as atoi(3) reads it: what stands behind the digits does not count.
fn number(words: &mut Words<'_>, name: &str) -> Result<Option<u32>, String> {
    let Some(value) = field(words, name)? else {
        return Ok(None);
    };
    let end = value.bytes().take_while(u8::is_ascii_digit).count();
    let number = value.get(..end).and_then(|digits| digits.parse().ok());
    let bad = || format!("field \"{name}\": bad value: \"{value}\"");
    number.map(Some).ok_or_else(bad)
}

/// Words between white space. One that begins with a brace goes on to the brace that closes it.
struct Words<'a>(Peekable<Chars<'a>>);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.0.next_if(char::is_ascii_whitespace).is_some() {}
        let mut depth = 0_usize;
        let word: String = iter::from_fn(|| {
            let next = self.0.next_if(|c| depth > 0 || !c.is_ascii_whitespace())?;
            match next {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            Some(next)
        })
        .collect();
        (!word.is_empty()).then_some(word)
    }
}

/// Logical lines with the numbers of the lines on which they begin: one that begins with white space goes on with the
/// one before. Comments and empty lines may stand between.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let begin = line.trim_start();
        match all.last_mut() {
            _ if begin.is_empty() || begin.starts_with('#') => {}
            Some((_, last)) if begin.len() < line.len() => {
                last.push(' ');
                last.push_str(begin);
            }
            _ => all.push((index + 1, line.to_owned())),
        }
    }
    all.into_iter()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Service, String> {
        let mut services = services(line);
        let service = services.next().unwrap();
        assert!(services.next().is_none());
        service.map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_goes_on_over_comments_and_lines_that_begin_with_white_space() {
        let text = "# service type private unpriv chroot wakeup maxproc command\n\
            smtp inet n - y - - smtpd\nsmtp unix - - n -\n# between\n\n  7 smtp\n    -o a=b\n\
            relay unix - - n - - smtp\nshort unix -\nzero unix - - n 60? 0 sub/smtp\n";
        let found: Vec<_> = services(text)
            .map(|service| match service {
                Ok(service) => (service.line, service.name, service.limit),
                Err(bad) => (bad.line, bad.to_string(), None),
            })
            .collect();
        let expected = [
            (2, "smtp", None),
            (3, "smtp", Some(7)),
            (8, "relay", None),
            (9, "line 9: missing \"unprivileged\" field", None),
            (10, "zero", Some(0)),
        ];
        let expected = expected.map(|(line, name, limit)| (line, name.to_owned(), limit));
        assert_eq!(found, expected);
    }

    #[test]
    fn fields_are_held_to_what_master_holds_them_to() {
        for (line, why) in [
            ("a", "line 1: missing \"transport type\" field"),
            (
                "a -",
                "line 1: field \"transport type\" has no default value",
            ),
            ("a tcp - - - - - smtp", "line 1: bad transport type: tcp"),
            (
                "a unix x - - - - smtp",
                "line 1: field \"private\": bad value: \"x\"",
            ),
            (
                "a unix - Y - - - smtp",
                "line 1: field \"unprivileged\": bad value: \"Y\"",
            ),
            (
                "a unix - - yes - - smtp",
                "line 1: field \"chroot\": bad value: \"yes\"",
            ),
            (
                "a unix - - - ? - smtp",
                "line 1: field \"wakeup_time\": bad value: \"?\"",
            ),
            (
                "a unix - - - - -1 smtp",
                "line 1: field \"max_proc\": bad value: \"-1\"",
            ),
            ("a unix - - - - -", "line 1: missing \"command\" field"),
            (
                "a unix - - - - - -",
                "line 1: field \"command\" has no default value",
            ),
            (
                "a inet - - - - - smtpd",
                "line 1: inet service cannot be private",
            ),
            (
                "\n a unix - - - - - smtp {x",
                "line 2: missing '}' in \"{x\"",
            ),
        ] {
            let error = one(line).unwrap_err();
            assert!(
                error.starts_with(why.split(" in ").next().unwrap()),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn the_command_line_is_that_of_master() {
        for (line, words) in [
            ("smtp unix - - n - - smtp", "smtp|-t|unix|-u"),
            ("smtp unix - - - - - smtp", "smtp|-t|unix|-u|-c"),
            (
                "relay unix - n y - 1 lib/smtp -o { syslog_name = postfix/x y } flags=DR",
                "lib/smtp|-l|-n|relay|-t|unix|-c|-o|syslog_name = postfix/x y|flags=DR",
            ),
            ("box unix - - n - 0 lmtp -v", "lmtp|-z|-n|box|-t|unix|-u|-v"),
            ("box unix - - n - 5 lmtp {}", "lmtp|-n|box|-t|unix|-u|"),
        ] {
            let made = one(line).unwrap().command_line(true, 100);
            assert_eq!(made.join("|"), words, "{line}");
        }
        let line = one("smtp unix - - - - - smtp").unwrap();
        assert_eq!(line.command_line(false, 1).join("|"), "smtp|-l|-t|unix|-u");
    }
}
