//! The queue for people, much as postqueue(1) shows it.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use outpost::smtp_policy::report::printable;
use outpost_queue::{
    model::{
        Fate, Hold, Kind, Message, MessageState, QueuedRecipient, Task, TaskId, TaskState,
        Timestamp,
    },
    operation::{Listed, Shown, State},
};

use crate::manage::counted;

/// The most recipients that are listed with a reason.
const RECIPIENTS: usize = 20;
/// The most bytes of a header that are shown.
const HEAD: usize = 8 * 1024;

/// The totals of all that was listed.
#[derive(Debug, Default)]
pub(super) struct Sum {
    messages: u64,
    recipients: u64,
    bytes: u64,
}

impl Sum {
    /// The last line of a list.
    pub(super) fn line(&self) -> String {
        if self.messages == 0 {
            return "No message is in the queue, or none that was asked for".to_owned();
        }
        format!(
            "-- {}, {} waiting, {}",
            counted(self.messages, "message"),
            counted(self.recipients, "recipient"),
            size(self.bytes)
        )
    }
}

/// A message and its recipients who wait.
pub(super) fn listed(listed: &Listed, now: Timestamp, sum: &mut Sum) -> String {
    let message = &listed.message;
    let pending: Vec<&QueuedRecipient> = listed
        .recipients
        .iter()
        .filter(|one| one.fate == Fate::Pending)
        .collect();
    sum.messages += 1;
    sum.recipients += pending.len() as u64;
    sum.bytes += message.size;
    let id = format!("{}{}", message.id, mark(&listed.tasks));
    let mut out = format!(
        "{id:<14} {:>9}  {}  {}\n",
        size(message.size),
        date(message.arrived),
        sender(message)
    );
    match message.state {
        MessageState::Arriving => out += "    (its text is being written)\n",
        MessageState::Finished => out += "    (finished)\n",
        MessageState::Queued => {}
    }
    for task in &listed.tasks {
        let of_task = pending.iter().filter(|one| one.task == task.id);
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for one in of_task {
            let why = reason(one);
            groups
                .entry(why)
                .or_default()
                .push(one.recipient.address.as_str());
        }
        let _ = writeln!(
            out,
            "    {}: {}",
            printable(task.destination.as_str()),
            doing(task, now)
        );
        for (why, addresses) in groups {
            if !why.is_empty() {
                let _ = writeln!(out, "      ({})", printable(&why));
            }
            for address in addresses.iter().take(RECIPIENTS) {
                let _ = writeln!(out, "        {}", printable(address));
            }
            if let Some(more @ 1..) = addresses.len().checked_sub(RECIPIENTS) {
                let _ = writeln!(out, "        and {more} more");
            }
        }
    }
    out.push('\n');
    out
}

/// `*` is under way, `!` is held.
fn mark(tasks: &[Task]) -> &'static str {
    let any = |wanted: fn(&TaskState) -> bool| tasks.iter().any(|task| wanted(&task.state));
    if any(|state| matches!(state, TaskState::Leased(_))) {
        "*"
    } else if any(|state| matches!(state, TaskState::Held(_))) {
        "!"
    } else {
        ""
    }
}

fn sender(message: &Message) -> String {
    let sender = match message.sender.as_str() {
        "" => "<>",
        sender => sender,
    };
    let kind = match message.kind {
        Kind::Mail => "",
        Kind::Report => " (report)",
    };
    format!("{}{kind}", printable(sender))
}

/// The state of a task, in words.
fn doing(task: &Task, now: Timestamp) -> String {
    let tried = match task.attempts {
        0 => "not tried yet".to_owned(),
        attempts => counted(u64::from(attempts), "attempt"),
    };
    match &task.state {
        TaskState::New => "new".to_owned(),
        TaskState::Ready if task.due <= now => format!("due, {tried}"),
        TaskState::Ready => format!("in {}, {tried}", span(task.due.since(now))),
        TaskState::Leased(lease) => {
            let step = match task.doubt {
                Some(_) => ", in the last step",
                None => "",
            };
            format!("under way at {}{step}, {tried}", printable(&lease.worker.0))
        }
        TaskState::Held(Hold::Operator) => format!("held by an operator, {tried}"),
        TaskState::Held(Hold::Doubt) => {
            format!("held, since a server may have the message; {tried}")
        }
        TaskState::Held(Hold::Poison) => {
            format!("held, since workers have died of it; {tried}")
        }
    }
}

/// The reason why a recipient waits; empty where nobody knows.
fn reason(recipient: &QueuedRecipient) -> String {
    let mut reason = match recipient.outcome() {
        Ok(None) => String::new(),
        Ok(Some(outcome)) => outcome.text.to_string(),
        Err(_) => "the last verdict cannot be read".to_owned(),
    };
    if recipient.doubtful {
        let apart = if reason.is_empty() { "" } else { "; " };
        reason += apart;
        reason += "a copy may have been delivered";
    }
    reason
}

/// All about a message.
pub(super) fn shown(shown: &Shown) -> String {
    let Shown { now, listed, text } = shown;
    let message = &listed.message;
    let mut out = String::new();
    let mut row = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{name:<12} {}", printable(&value.to_string()));
    };
    row("id", &message.id);
    row("state", &state_word(message.state));
    row("sender", &sender(message));
    row("size", &format!("{} bytes", message.size));
    row(
        "arrived",
        &format!(
            "{} ({} ago)",
            date(message.arrived),
            span(now.since(message.arrived))
        ),
    );
    if message.finished != Timestamp::NEVER {
        row("finished", &date(message.finished));
    }
    if message.report_at != Timestamp::NEVER {
        row("report", &format!("owed since {}", date(message.report_at)));
    }
    out.push('\n');
    let tasks: BTreeMap<TaskId, &Task> = listed.tasks.iter().map(|task| (task.id, task)).collect();
    for task in tasks.values() {
        let destination = printable(task.destination.as_str());
        let _ = writeln!(
            out,
            "task {} to {destination}: {}",
            task.id,
            doing(task, *now)
        );
        let _ = writeln!(
            out,
            "  due {}, tried {}",
            date(task.due),
            counted(task.attempts.into(), "time")
        );
    }
    if !tasks.is_empty() {
        out.push('\n');
    }
    for one in &listed.recipients {
        let _ = writeln!(
            out,
            "<{}>: {}",
            printable(one.recipient.address.as_str()),
            fate(one)
        );
        let reason = reason(one);
        if !reason.is_empty() {
            let _ = writeln!(out, "  {}", printable(&reason));
        }
    }
    let head = head(text);
    if !head.is_empty() {
        let _ = write!(out, "\n{head}");
    }
    out
}

const fn fate(one: &QueuedRecipient) -> &'static str {
    match one.fate {
        Fate::Pending if one.verdict.is_some() => "deferred",
        Fate::Pending => "waits",
        Fate::Sent => "sent",
        Fate::Bounced => "bounced",
        Fate::Cancelled => "cancelled",
    }
}

/// The word for a state, as on the command line.
pub(super) const fn state_word(state: MessageState) -> &'static str {
    match state {
        MessageState::Arriving => "arriving",
        MessageState::Queued => "queued",
        MessageState::Finished => "finished",
    }
}

/// The header of a text, each line for itself.
pub(super) fn head(text: &[u8]) -> String {
    let text = text.get(..HEAD.min(text.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.map(|line| format!("{}\n", printable(line))).collect()
}

/// Numbers about the queue.
pub(super) fn state(state: &State) -> String {
    let State { now, counts, loads } = state;
    let mut out = String::new();
    for (name, number) in numbers(counts) {
        let _ = writeln!(out, "{number:>12}  {name}");
    }
    if counts.oldest != Timestamp::NEVER {
        let _ = writeln!(
            out,
            "{:>12}  age of the oldest task",
            span(now.since(counts.oldest))
        );
    }
    if !loads.is_empty() {
        let _ = writeln!(
            out,
            "\n{:>9} {:>8} {:>9} {:>10}  destination",
            "tasks", "running", "at a time", "oldest"
        );
    }
    for load in loads {
        let destination = &load.destination;
        let _ = writeln!(
            out,
            "{:>9} {:>8} {:>9} {:>10}  {}",
            load.tasks,
            destination.running,
            destination.window,
            span(now.since(load.oldest)),
            printable(destination.name.as_str())
        );
        if let Some(dead) = destination.dead.as_ref().filter(|dead| dead.until > *now) {
            let rest = span(dead.until.since(*now));
            let _ = writeln!(out, "{:>41}rests for {rest}: {}", "", printable(&dead.why));
        }
    }
    if let Some(line) = elsewhere(state) {
        let _ = writeln!(out, "\n{line}");
    }
    out
}

/// A line about the tasks that are for none of the destinations that are named; nothing where there are none.
pub(crate) fn elsewhere(state: &State) -> Option<String> {
    let counts = &state.counts;
    let all = counts.new + counts.due + counts.deferred + counts.leased + counts.held;
    let named: u64 = state.loads.iter().map(|load| load.tasks).sum();
    // Counts may be older than the list.
    let left = all.saturating_sub(named);
    let tasks = counted(left, "task");
    (left > 0).then(|| {
        format!("{tasks} for destinations beyond this list, or at which no worker has looked yet")
    })
}

/// The numbers with their names for people.
pub(crate) fn numbers(counts: &outpost_queue::model::Counts) -> [(&'static str, u64); 8] {
    [
        ("messages in the queue", counts.messages),
        ("new tasks", counts.new),
        ("due tasks", counts.due),
        ("deferred tasks", counts.deferred),
        ("tasks under way", counts.leased),
        ("of them in the last step", counts.in_doubt),
        ("held tasks", counts.held),
        ("destinations that rest", counts.dead),
    ]
}

/// A time in UTC.
pub(crate) fn date(time: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(time.micros()) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "never".to_owned(),
    }
}

/// A duration in its two biggest units.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (big, small) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3600 => ((seconds / 60, 'm'), (seconds % 60, 's')),
        3600..86_400 => ((seconds / 3600, 'h'), (seconds % 3600 / 60, 'm')),
        _ => ((seconds / 86_400, 'd'), (seconds % 86_400 / 3600, 'h')),
    };
    match small.0 {
        0 => format!("{}{}", big.0, big.1),
        _ => format!("{}{} {}{}", big.0, big.1, small.0, small.1),
    }
}

/// A number of bytes in a unit that fits.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut units = UNITS.iter().peekable();
    let mut unit = units.next().unwrap_or(&"KiB");
    while tenths >= 10_240 {
        let Some(next) = units.next() else { break };
        unit = next;
        tenths /= 1024;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_048_576, "1.0 MiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (252, "4m 12s"),
            (3600, "1h"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn what_strangers_write_stays_in_its_line() {
        assert_eq!(head(b"A: \x1b[2Jb\n c\n\nbody"), "A: ?[2Jb\n c\n");
        assert_eq!(head(b"\xff\n"), "\u{fffd}\n");
    }
}
