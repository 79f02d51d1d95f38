//! `--journal`: a run that was stopped goes on.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
};

use crate::common::{RUNTIMES, Run, Sink, folder, mute_server, outpost, run, signal};
use tempfile::TempDir;

const MANY: usize = 120;

/// A directory with messages, and a place for the journal.
struct Spool {
    messages: TempDir,
    place: TempDir,
}

impl Spool {
    fn new(many: usize) -> Self {
        let messages = folder();
        for number in 0..many {
            let text = format!("Subject: {number}\n\nbody\n");
            fs::write(messages.path().join(format!("{number:04}")), text).unwrap();
        }
        Self {
            messages,
            place: folder(),
        }
    }

    fn journal(&self) -> String {
        self.place
            .path()
            .join("journal")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.journal()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn command(&self, nexthop: &str, more: &[&str]) -> Command {
        let mut command = outpost();
        command
            .args(["deliver", "--nexthop", nexthop, "--from", "a@example.org"])
            .args(["--to", "b@example.com", "--journal", &self.journal()])
            .args(more)
            .arg(self.messages.path());
        command
    }

    fn run(&self, nexthop: &str, more: &[&str]) -> Run {
        Run::of(self.command(nexthop, more).output().unwrap())
    }
}

/// The number of times that each message arrived.
fn arrivals(sink: &Sink) -> BTreeMap<String, usize> {
    let mut arrivals = BTreeMap::new();
    for message in sink.messages() {
        let text = String::from_utf8(message).unwrap();
        let subject = text.lines().find(|line| line.starts_with("Subject: "));
        *arrivals.entry(subject.unwrap().to_owned()).or_default() += 1;
    }
    arrivals
}

#[test]
fn who_is_settled_is_left_out_and_who_was_deferred_is_tried_again() {
    for runtime in RUNTIMES {
        let spool = Spool::new(3);
        let sink = Sink::start(&[]);
        let more = ["--runtime", runtime, "--to", "later@x", "--to", "never@x"];
        let faulty = Sink::start(&[
            "--fault",
            "RCPT later@=450 4.2.0 later",
            "--fault",
            "RCPT never@=550 5.1.1 never",
        ]);
        spool
            .run(&faulty.nexthop(), &more)
            .exits(75)
            .complains("3 messages, 9 recipients: 3 sent, 3 deferred, 3 bounced; ");
        let again = spool
            .run(&sink.nexthop(), &more)
            .exits(0)
            .complains("3 messages, 3 recipients: 3 sent, 0 deferred, 0 bounced; 6 settled by");
        assert!(!again.stdout.contains("<never@x>"), "{again:#?}");
        assert!(again.stdout.contains("<later@x>: sent"), "{again:#?}");
        // Nothing is left.
        let third = spool.run(&sink.nexthop(), &more).exits(0);
        third.complains("3 messages, 0 recipients: 0 sent");
        assert_eq!(sink.messages().len(), 3, "{runtime}");
    }
}

#[test]
fn a_run_that_is_killed_goes_on_and_nobody_is_lost_or_doubled_beyond_doubt() {
    for runtime in RUNTIMES {
        let spool = Spool::new(MANY);
        let mut sink = Sink::start(&[]);
        let nexthop = sink.nexthop();
        let more = ["--runtime", runtime, "--jobs", "8"];
        for some in [5, 20] {
            let mut child = spool
                .command(&nexthop, &[&more[..], &["--doubt", "retry"]].concat())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            for _ in 0..some {
                sink.line();
            }
            signal(child.id(), "KILL");
            child.wait().unwrap();
            // What was under way when it was killed arrives before the next run.
            while sink.unfinished() > 0 {
                std::thread::yield_now();
            }
        }
        let before: usize = arrivals(&sink).values().sum();
        assert!(before < MANY, "it was killed in the middle");
        let held = spool.run(&nexthop, &more);
        let doubtful: Vec<&str> = held
            .stderr
            .lines()
            .filter(|line| line.contains("<b@example.com>: in doubt since an earlier run"))
            .collect();
        assert!(doubtful.len() <= 16, "{held:#?}");
        let exit = if doubtful.is_empty() { 0 } else { 75 };
        assert_eq!(held.exit, Some(exit), "{held:#?}");
        let arrived = arrivals(&sink);
        let lost = MANY - arrived.len();
        assert!(lost <= doubtful.len(), "{runtime}: {lost} lost");
        spool
            .run(&nexthop, &[&more[..], &["--doubt", "retry"]].concat())
            .exits(0);
        let arrived = arrivals(&sink);
        assert_eq!(arrived.len(), MANY, "{runtime}");
        let doubled = arrived.values().filter(|count| **count > 1).count();
        assert!(doubled <= 16, "{runtime}: {doubled} doubled: {arrived:?}");
    }
}

#[test]
fn who_is_in_doubt_is_held_back_unless_a_second_copy_is_all_right() {
    for runtime in RUNTIMES {
        let spool = Spool::new(2);
        let (mute, told) = mute_server();
        let mut child = spool
            .command(&mute, &["--runtime", runtime])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        told.recv().unwrap();
        signal(child.id(), "KILL");
        child.wait().unwrap();
        let lines = spool.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("{\"event\":\"doubt\","), "{lines:?}");
        let sink = Sink::start(&[]);
        let nexthop = sink.nexthop();
        spool
            .run(&nexthop, &["--runtime", runtime])
            .exits(75)
            .complains("/0000: <b@example.com>: in doubt since an earlier run, and not sent again")
            .complains(
                "2 messages, 1 recipient: 1 sent, 0 deferred, 0 bounced; 1 in doubt and held",
            );
        assert_eq!(sink.messages().len(), 1);
        spool.run(&nexthop, &["--doubt", "retry"]).exits(0);
        assert_eq!(sink.messages().len(), 2, "{runtime}");
    }
}

#[test]
fn a_lost_connection_after_the_text_leaves_the_recipient_in_doubt() {
    let spool = Spool::new(1);
    let sink = Sink::start(&["--fault", ".=close"]);
    spool.run(&sink.nexthop(), &[]).exits(75);
    let good = Sink::start(&[]);
    spool
        .run(&good.nexthop(), &[])
        .exits(75)
        .complains("in doubt since an earlier run");
    assert_eq!(good.messages().len(), 0);
    // A refusal of the text leaves no doubt.
    let spool = Spool::new(1);
    let sink = Sink::start(&["--fault", ".=451 4.3.0 later"]);
    spool.run(&sink.nexthop(), &[]).exits(75);
    spool.run(&good.nexthop(), &[]).exits(0);
    assert_eq!(good.messages().len(), 1);
}

#[test]
fn a_journal_belongs_to_its_sources_and_to_one_process() {
    let spool = Spool::new(1);
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    spool.run(&nexthop, &[]).exits(0);
    let other = Spool::new(1);
    let more = [other.messages.path().to_str().unwrap()];
    spool
        .run(&nexthop, &more)
        .exits(65)
        .complains("/journal:1: it is about other sources: ");
    let (mute, told) = mute_server();
    let mut child = other
        .command(&mute, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    other
        .run(&nexthop, &[])
        .exits(71)
        .complains("another process uses the journal ");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn a_message_that_has_changed_is_not_the_one_of_the_journal() {
    let spool = Spool::new(2);
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    spool.run(&nexthop, &[]).exits(0);
    fs::write(spool.messages.path().join("0001"), "Subject: new\n\nx\n").unwrap();
    let again = spool.run(&nexthop, &[]).exits(65);
    assert!(
        again
            .stdout
            .contains("/0001: it is not the message that the journal"),
        "{again:#?}"
    );
    assert_eq!(sink.messages().len(), 2);
}

#[test]
fn a_torn_last_line_is_told_and_anything_else_broken_is_an_error_with_its_line() {
    let spool = Spool::new(2);
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    spool.run(&nexthop, &[]).exits(0);
    let whole = fs::read_to_string(spool.journal()).unwrap();
    let torn = &whole[..whole.len() - 10];
    fs::write(spool.journal(), torn).unwrap();
    spool
        .run(&nexthop, &[])
        .exits(75)
        .complains("the last line is torn")
        .complains("in doubt since an earlier run");
    assert_eq!(sink.messages().len(), 2);
    // The piece is gone.
    spool.run(&nexthop, &["--doubt", "retry"]).exits(0);
    let broken = whole.replacen("\"doubt\"", "\"shout\"", 1);
    fs::write(spool.journal(), broken).unwrap();
    let run = spool.run(&nexthop, &[]).exits(65);
    run.complains("/journal:2: unknown variant `shout`");
    for text in ["hello\n", "Subject: x\n\nnot a journal\n"] {
        fs::write(spool.journal(), text).unwrap();
        spool.run(&nexthop, &[]).exits(65).complains("/journal:1: ");
        assert_eq!(fs::read_to_string(spool.journal()).unwrap(), text);
    }
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_before_anything_is_sent() {
    let spool = Spool::new(1);
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    let with = |journal: &str| {
        let messages = spool.messages.path().to_str().unwrap();
        let args = [
            "deliver",
            "--nexthop",
            &nexthop,
            "--from",
            "a@b",
            "--to",
            "c@d",
        ];
        run(&[&args[..], &["--journal", journal, messages]].concat())
    };
    with("/dev/full").exits(64).complains("is no regular file");
    with("/no/such/folder/journal")
        .exits(71)
        .complains("cannot open the journal /no/such/folder/journal: No such file");
    with("/proc/journal")
        .exits(71)
        .complains("cannot open the journal");
    assert_eq!(sink.messages().len(), 0);
}

#[test]
fn nothing_goes_out_whose_doubt_is_not_in_the_journal() {
    for runtime in RUNTIMES {
        let spool = Spool::new(MANY);
        let sink = Sink::start(&[]);
        let command = spool.command(&sink.nexthop(), &["--runtime", runtime, "--jobs", "4"]);
        // A file may have as many bytes as a few lines need.
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        let run = Run::of(limited.output().unwrap()).exits(74);
        let run = run.complains("cannot write the journal ");
        assert_eq!(run.stderr.matches("cannot write the journal").count(), 1);
        let arrived = arrivals(&sink);
        assert!(!arrived.is_empty() && arrived.len() < MANY, "{arrived:?}");
        // With room again, each gets one copy, or is in doubt.
        let again = spool.run(&sink.nexthop(), &["--runtime", runtime]);
        let held = again.stderr.matches("in doubt since").count();
        let arrived = arrivals(&sink);
        assert!(arrived.values().all(|count| *count == 1), "{arrived:?}");
        assert!(
            arrived.len() + held >= MANY,
            "{runtime}: {} {held}",
            arrived.len()
        );
    }
}
