//! The log: a line goes to postlogd(8) or to syslog, as `maillog_file` says
//! (`src/global/maillog_client.c`, `src/util/msg_logger.c`). It never holds a delivery up.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt::{self, Write as _},
    io::{self, Write as _},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use smtp_policy::report::printable;

use crate::poll;

/// The socket of syslog.
pub(crate) const SYSLOG: &str = "/dev/log";
/// The most bytes of a record.
const LIMIT: usize = 2000;
/// The bytes that most records have room in.
const USUAL: usize = 384;
/// The most records that wait until the other end has room.
const MAX_WAITING: usize = 10_000;

/// The time that one who has nothing else to do waits for a log that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The names of facilities (syslog(3)) by number.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// The severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Warning,
    Error,
    Fatal,
    Panic,
}

impl Severity {
    const fn label(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Warning => "warning: ",
            Self::Error => "error: ",
            Self::Fatal => "fatal: ",
            Self::Panic => "panic: ",
        }
    }

    const fn priority(self) -> usize {
        match self {
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Fatal | Self::Panic => 2,
        }
    }
}

/// The target of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The facility of this name.
    Syslog(String),
    /// The socket of postlogd(8), and the first label of `myhostname`.
    Postlog { socket: PathBuf, host: String },
}

/// The target of records before main.cf is read, which master(8) names in the environment.
pub(crate) fn early() -> Target {
    match std::env::var_os("POSTLOG_SERVICE") {
        Some(socket) => Target::Postlog {
            socket: socket.into(),
            host: first_label(&std::env::var("POSTLOG_HOSTNAME").unwrap_or_default()),
        },
        None => Target::Syslog("mail".to_owned()),
    }
}

/// The name in records before the command line and main.cf are read.
pub(crate) fn early_tag() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let protocol = match Path::new(&program).file_name() {
        Some(name) if name == "lmtp" => "lmtp",
        _ => "smtp",
    };
    let name = std::env::var("MAIL_LOGTAG").unwrap_or_else(|_| "postfix".to_owned());
    format!("{name}/{protocol}")
}

/// The name of a host without its domain.
pub(crate) fn first_label(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Records on their way.
#[derive(Debug, Default)]
struct Waiting {
    /// The way to the other end, once it was there.
    socket: Option<Arc<UnixDatagram>>,
    records: VecDeque<Vec<u8>>,
    /// The number of records that could not be kept.
    lost: usize,
}

/// A second, and how records write it.
#[derive(Debug)]
struct Moment {
    /// Since 1970.
    second: i64,
    text: String,
}

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    target: Target,
    facility: usize,
    /// `postfix/smtp[42]`.
    tag: String,
    zone: TimeZone,
    /// The time of the last record.
    moment: Mutex<Moment>,
    to_stderr: bool,
    /// Records that wait until the other end has room.
    waiting: Mutex<Waiting>,
}

impl Log {
    /// Opens the log. As long as the socket cannot be reached, records are lost.
    pub(crate) fn open(target: Target, tag: String, to_stderr: bool) -> Self {
        let facility = match &target {
            Target::Syslog(name) => FACILITIES.iter().position(|known| known == name),
            Target::Postlog { .. } => None,
        };
        let waiting = Waiting {
            socket: target.connect().ok(),
            ..Waiting::default()
        };
        Self {
            facility: facility.unwrap_or(2),
            target,
            tag: format!("{tag}[{}]", std::process::id()),
            moment: Mutex::new(Moment {
                second: i64::MIN,
                text: String::new(),
            }),
            // Files of time zones cannot be seen from within the jail.
            zone: TimeZone::system(),
            to_stderr,
            waiting: Mutex::new(waiting),
        }
    }

    /// Returns whether `name` is a facility of syslog.
    pub(crate) fn knows_facility(name: &str) -> bool {
        FACILITIES.contains(&name)
    }

    pub(crate) fn info(&self, text: impl fmt::Display) {
        self.record(Severity::Info, &text);
    }

    pub(crate) fn warning(&self, text: impl fmt::Display) {
        self.record(Severity::Warning, &text);
    }

    pub(crate) fn error(&self, text: impl fmt::Display) {
        self.record(Severity::Error, &text);
    }

    /// The present time for a Date field (RFC 5322 section 3.3).
    pub(crate) fn mail_date(&self) -> String {
        let now = Timestamp::now().to_zoned(self.zone.clone());
        now.strftime("%a, %-d %b %Y %H:%M:%S %z (%Z)").to_string()
    }

    /// Writes a record, one line without control characters. Where the other end has no room, the record waits.
    pub(crate) fn record(&self, severity: Severity, text: &dyn fmt::Display) {
        let record = self.form(severity, text);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(record);
        self.write(&mut waiting);
        if waiting.records.is_empty() && waiting.lost > 0 {
            let text = format!(
                "{} log records were lost",
                std::mem::take(&mut waiting.lost)
            );
            let record = self.form(Severity::Warning, &text);
            waiting.push(record);
            self.write(&mut waiting);
        }
    }

    /// Returns whether records wait until the other end has room.
    pub(crate) fn is_behind(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        !waiting.records.is_empty()
    }

    /// Waits until all records are written, but no longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        if !self.is_behind() {
            return;
        }
        let until = Instant::now() + limit;
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.write(&mut waiting);
            let left = until.saturating_duration_since(Instant::now());
            let wanted = !waiting.records.is_empty() && !left.is_zero();
            let Some(socket) = waiting.socket.clone().filter(|_| wanted) else {
                return;
            };
            drop(waiting);
            poll::wait_for_room(socket.as_fd(), left);
        }
    }

    /// Writes what waits, as far as there is room for it.
    fn write(&self, waiting: &mut Waiting) {
        while let Some(record) = waiting.records.front() {
            let sent = send(waiting.socket.as_deref(), record).or_else(|error| {
                // Who takes records may have been started again since, as syslogd(8) is.
                if error.kind() != io::ErrorKind::WouldBlock
                    && let Ok(socket) = self.target.connect()
                {
                    return send(Some(waiting.socket.insert(socket)), record);
                }
                Err(error)
            });
            match sent {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => waiting.lost += 1,
            }
            waiting.records.pop_front();
        }
    }

    fn form(&self, severity: Severity, text: &dyn fmt::Display) -> Vec<u8> {
        let mut record = String::with_capacity(USUAL);
        // A String takes everything, here and below.
        let _ = match &self.target {
            Target::Syslog(_) => {
                let priority = self.facility * 8 + severity.priority();
                write!(record, "<{priority}>")
            }
            Target::Postlog { .. } => Ok(()),
        };
        self.write_time(&mut record);
        let _ = match &self.target {
            Target::Syslog(_) => write!(record, " "),
            Target::Postlog { host, .. } => write!(record, " {host} "),
        };
        let line = record.len();
        let _ = write!(record, "{}: {}", self.tag, severity.label());
        let begin = record.len();
        let _ = write!(record, "{text}");
        if let Some(Cow::Owned(text)) = record.get(begin..).map(printable) {
            record.truncate(begin);
            record += &text;
        }
        if self.to_stderr {
            // It may be full, or closed.
            let _ = writeln!(io::stderr(), "{}", record.get(line..).unwrap_or_default());
        }
        let mut record = record.into_bytes();
        record.truncate(LIMIT);
        record
    }

    /// Writes the present time. It is put into words once in a second.
    fn write_time(&self, record: &mut String) {
        let now = Timestamp::now();
        let mut moment = self.moment.lock().unwrap_or_else(PoisonError::into_inner);
        if moment.second != now.as_second() {
            let form = match &self.target {
                Target::Syslog(_) => "%b %e %H:%M:%S",
                Target::Postlog { .. } => "%b %d %H:%M:%S",
            };
            let text = self.zone.to_datetime(now).strftime(form).to_string();
            let second = now.as_second();
            *moment = Moment { second, text };
        }
        record.push_str(&moment.text);
    }
}

impl Waiting {
    fn push(&mut self, record: Vec<u8>) {
        match self.records.len() < MAX_WAITING {
            true => self.records.push_back(record),
            false => self.lost += 1,
        }
    }
}

impl Target {
    fn connect(&self) -> io::Result<Arc<UnixDatagram>> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(match self {
            Self::Syslog(_) => Path::new(SYSLOG),
            Self::Postlog { socket, .. } => socket,
        })?;
        socket.set_nonblocking(true)?;
        Ok(Arc::new(socket))
    }
}

fn send(socket: Option<&UnixDatagram>, record: &[u8]) -> io::Result<()> {
    let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
    socket.send(record).map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// The socket of postlogd(8), whose name is gone once it is connected, and the log that writes to it.
    fn postlog() -> (UnixDatagram, Log) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("postlog");
        let reader = UnixDatagram::bind(&socket).unwrap();
        let host = "mx".to_owned();
        let target = Target::Postlog { socket, host };
        (reader, Log::open(target, "postfix/smtp".to_owned(), false))
    }

    #[test]
    fn a_record_for_postlogd_has_the_time_and_the_host_in_front() {
        let (reader, log) = postlog();
        log.warning("a\nb");
        let mut bytes = [0; 4096];
        let length = reader.recv(&mut bytes).unwrap();
        let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let pid = std::process::id();
        assert!(
            line.ends_with(&format!(" mx postfix/smtp[{pid}]: warning: a?b")),
            "{line}"
        );
        assert_eq!(line.find(" mx "), Some("Nov 29 03:19:05".len()), "{line}");
        log.info("x".repeat(5000));
        assert_eq!(reader.recv(&mut bytes).unwrap(), LIMIT);
    }

    #[test]
    fn a_log_is_found_again_and_tells_what_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("postlog");
        let target = Target::Postlog {
            socket: socket.clone(),
            host: "mx".to_owned(),
        };
        let log = Log::open(target, "postfix/smtp".to_owned(), false);
        log.info("to nobody");
        let lines = |reader: &UnixDatagram| {
            reader.set_nonblocking(true).unwrap();
            let mut bytes = [0; 4096];
            let mut lines = Vec::new();
            while let Ok(length) = reader.recv(&mut bytes) {
                let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
                lines.push(line.split_once("]: ").unwrap().1.to_owned());
            }
            lines
        };
        for text in ["first", "second"] {
            let reader = UnixDatagram::bind(&socket).unwrap();
            log.info(text);
            let lost = "warning: 1 log records were lost";
            assert_eq!(lines(&reader), [text, lost]);
            drop(reader);
            std::fs::remove_file(&socket).unwrap();
            log.info("to nobody");
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nothing_up_and_tells_what_was_lost() {
        let (reader, log) = postlog();
        let (done, all) = std::sync::mpsc::channel();
        let log = Arc::new(log);
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for number in 0..MAX_WAITING + 1000 {
                writer.info(number);
            }
            done.send(())
        });
        all.recv_timeout(Duration::from_secs(20)).unwrap();
        reader.set_nonblocking(true).unwrap();
        let lines = || {
            let (mut lines, mut bytes) = (Vec::new(), [0; 4096]);
            while let Ok(length) = reader.recv(&mut bytes) {
                lines.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                log.flush(Duration::ZERO);
            }
            lines
        };
        let kept = lines();
        for (number, line) in kept.iter().enumerate() {
            assert!(line.ends_with(&format!(": {number}")), "{line}");
        }
        assert!(
            (MAX_WAITING..MAX_WAITING + 1000).contains(&kept.len()),
            "{}",
            kept.len()
        );
        log.info("again");
        let told = lines();
        let lost = MAX_WAITING + 1000 - kept.len();
        let [again, told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(again.ends_with(": again"), "{again}");
        assert!(
            told.ends_with(&format!(": warning: {lost} log records were lost")),
            "{told}"
        );
    }
}
