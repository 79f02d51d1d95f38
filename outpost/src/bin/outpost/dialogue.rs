//! `-v`: the dialogue with servers on standard error, line by line as it goes on, with the
//! steps around it.
//!
//! | mark | stands for |
//! |---|---|
//! | `>` | a line to the server; passwords and message texts are left out before it comes here |
//! | `<` | a line of the server; one that refuses is in red |
//! | `?` | a question, to name servers or for a policy, and what name servers answer; which address is tried |
//! | `~` | TLS: the certificate, what was agreed on, and what the certificate is worth |
//! | `*` | anything else |

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal, Write as _},
    sync::OnceLock,
    time::Instant,
};

use outpost::{Event, Note};
use smtp_policy::{
    report::{TlsSummary, printable},
    tls::Trust,
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::cli::ColorChoice;

/// The begin of the dialogue, and whether it is in colour; unset where none is shown.
static SHOWN: OnceLock<Shown> = OnceLock::new();

#[derive(Debug)]
struct Shown {
    since: Instant,
    colored: bool,
}

/// Colours of ECMA-48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Color {
    Plain,
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
}

impl Color {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Dim => "2",
        }
    }
}

/// Returns whether standard error is to be in colour.
pub(crate) fn is_colored(choice: ColorChoice) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stderr().is_terminal() && !no_color,
    }
}

/// Shows dialogues from here on; times count from now.
pub(crate) fn begin(colored: bool) {
    let since = Instant::now();
    let _ = SHOWN.set(Shown { since, colored });
}

/// Returns whether dialogues are shown here, and not among other traces.
pub(crate) fn is_shown() -> bool {
    SHOWN.get().is_some()
}

/// Shows a note. `id` names the delivery, where there may be several.
pub(crate) fn show(id: &str, note: &Note) {
    let Some(shown) = SHOWN.get() else { return };
    let (mark, color, text) = step(note);
    let line = shown.line(id, mark, color, &text);
    // Nobody is left to tell if that fails.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// The mark, colour and text of a note.
fn step(note: &Note) -> (char, Color, String) {
    match &note.event {
        Event::Said { line, .. } => ('>', Color::Cyan, line.clone()),
        Event::Heard { line, .. } => {
            let refuses = line.starts_with(['4', '5']);
            let color = if refuses { Color::Red } else { Color::Green };
            ('<', color, line.clone())
        }
        Event::TextSent { bytes, .. } => {
            let text = format!("[message text of {bytes} bytes]");
            ('>', Color::Cyan, text)
        }
        Event::Answered { .. } => ('?', Color::Dim, note.to_string()),
        Event::CertificateShown { .. } => ('~', Color::Plain, note.to_string()),
        Event::TlsEstablished { tls, .. } | Event::TlsReused { tls, .. } => tls_step(tls),
        Event::HandshakeFailed { .. } | Event::CertificateProblem { .. } => {
            ('~', Color::Red, note.to_string())
        }
        Event::ConnectFailed { .. } | Event::Postponed { .. } => {
            ('*', Color::Red, note.to_string())
        }
        _ => ('*', Color::Dim, note.to_string()),
    }
}

fn tls_step(tls: &TlsSummary) -> (char, Color, String) {
    let mut text = format!("{tls}; certificate {}", tls.proof());
    if let Some(problem) = &tls.problem {
        let _ = write!(text, ": {problem}");
    }
    let color = match tls.trust {
        Trust::Verified => Color::Green,
        _ => Color::Yellow,
    };
    ('~', color, text)
}

impl Shown {
    /// `  0.012 M1 > EHLO client.example`. What cannot be printed is `?`.
    fn line(&self, id: &str, mark: char, color: Color, text: &str) -> String {
        let seconds = self.since.elapsed().as_secs_f64();
        let text = printable(text);
        let id = printable(id);
        let space = if id.is_empty() { "" } else { " " };
        match self.colored && color != Color::Plain {
            true => {
                let code = color.code();
                format!("{seconds:>7.3} {id}{space}\u{1b}[{code}m{mark} {text}\u{1b}[0m\n")
            }
            false => format!("{seconds:>7.3} {id}{space}{mark} {text}\n"),
        }
    }
}

/// The form of what does not come as a note: the questions of the engine.
pub(crate) struct Questions;

impl<S, N> FormatEvent<S, N> for Questions
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // The report tells the verdicts.
        if fields.message == "settled" {
            return Ok(());
        }
        let Some(shown) = SHOWN.get() else {
            return Ok(());
        };
        let is_warning = *event.metadata().level() <= tracing::Level::WARN;
        let (mark, color) = match is_warning {
            true => ('*', Color::Yellow),
            false => ('?', Color::Dim),
        };
        let line = shown.line(&fields.id, mark, color, &fields.message);
        writer.write_str(&line)
    }
}

/// The fields of an event that are shown.
#[derive(Default)]
struct Fields {
    message: String,
    id: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "id" {
            self.id = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use smtp_policy::server::Server;

    use super::*;

    #[test]
    fn a_line_has_time_mark_and_colour_and_nothing_that_moves_the_cursor() {
        let server = Arc::new(Server::inet("mx", "192.0.2.1:25".parse().unwrap()));
        let line = "550 \u{1b}[2Jno".to_owned();
        let (mark, color, text) = step(&Note::from(Event::Heard { server, line }));
        let shown = |colored| Shown {
            since: Instant::now(),
            colored,
        };
        let plain = shown(false).line("M1", mark, color, &text);
        assert!(plain.ends_with(" M1 < 550 ?[2Jno\n"), "{plain:?}");
        let colored = shown(true).line("", mark, color, &text);
        assert!(
            colored.ends_with("0 \u{1b}[31m< 550 ?[2Jno\u{1b}[0m\n"),
            "{colored:?}"
        );
    }

    #[test]
    fn a_certificate_that_is_not_verified_is_told_with_the_reason() {
        let mut tls = TlsSummary::new("TLSv1.3", "AES", 256, Trust::Untrusted);
        tls.problem = Some("self-signed certificate".to_owned().into());
        let (mark, color, text) = tls_step(&tls);
        assert_eq!((mark, color), ('~', Color::Yellow));
        assert!(
            text.ends_with("; certificate not verified: self-signed certificate"),
            "{text}"
        );
    }
}
