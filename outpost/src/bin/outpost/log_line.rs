//! Log lines in the shape that Postfix gives them: the name of the program in front of what
//! the library says of verdicts and events.
//!
//! There is no time and no host name in front: whatever collects the lines adds those.

use smtp_policy::{
    event::{Level, Note},
    report::{LogStyle, LogText, Outcome},
    request::{QueueId, Recipient},
    settings::Settings,
};

/// The form of log lines: the program's name, and what the configuration says of them.
#[derive(Clone, Debug)]
pub(crate) struct LogForm {
    tag: String,
    style: LogStyle,
}

impl LogForm {
    /// The form for one of the two clients.
    pub(crate) fn new(client: &Settings) -> Self {
        Self {
            tag: format!("outpost/{}[{}]", client.protocol(), std::process::id()),
            style: client.log,
        }
    }

    /// The line about the verdict on a recipient.
    pub(crate) fn status(&self, id: &QueueId, recipient: &Recipient, outcome: &Outcome) -> LogText {
        let line = self.style.line(recipient, outcome);
        format!("{}: {id}: {line}", self.tag).into()
    }

    /// A line that is not about a recipient; `None` where Postfix has none.
    pub(crate) fn note(&self, note: &Note) -> Option<LogText> {
        let label = match note.level() {
            Level::Trace => return None,
            Level::Warning => "warning: ",
            _ => "",
        };
        Some(format!("{}: {label}{note}", self.tag).into())
    }
}
