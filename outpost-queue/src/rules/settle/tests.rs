#![allow(clippy::unwrap_used)]

use core::time::Duration;

use smtp_policy::request::Recipient;
use smtp_proto::Address;

use super::*;
use crate::model::{Fence, Kind, MessageId, MessageState, TaskId};

const DAYS: i64 = 86_400;
const NULL: bool = true;
const MAIL: bool = false;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn recipient(notify: &str) -> QueuedRecipient {
    let address = Address::parse("you@example.com").unwrap();
    let mut recipient = Recipient::new(address);
    recipient.notify = Notify::parse(notify).unwrap();
    QueuedRecipient {
        message: MessageId(1),
        number: 0,
        task: TaskId(1),
        recipient,
        fate: Fate::Pending,
        doubtful: false,
        verdict: None,
        owed: None,
    }
}

fn outcome(status: Status) -> Outcome {
    let class = match status {
        Status::Sent => 2,
        Status::Deferred => 4,
        Status::Bounced => 5,
    };
    Outcome::new(status, EnhancedStatus::new(class, 2, 2), "so it says")
}

fn uncertain(status: Status) -> Outcome {
    let mut outcome = outcome(status);
    outcome.uncertain = true;
    outcome
}

fn of_destination(status: Status) -> Outcome {
    let mut outcome = outcome(status);
    outcome.hop = Some(Box::new(HopStatus {
        code: EnhancedStatus::new(4, 4, 1),
        text: "connection refused".into(),
    }));
    outcome
}

fn message(null_sender: bool) -> Message {
    let sender = if null_sender { "" } else { "me@example.org" };
    Message {
        id: MessageId(1),
        kind: Kind::Mail,
        state: MessageState::Queued,
        sender: sender.to_owned(),
        envelope: "{}".to_owned(),
        size: 9,
        arrived: at(0),
        unsettled: 1,
        report_at: Timestamp::NEVER,
        finished: Timestamp::NEVER,
    }
}

fn task() -> Task {
    Task {
        id: TaskId(1),
        message: MessageId(1),
        destination: "smtp:example.com".parse().unwrap(),
        state: TaskState::Ready,
        due: at(0),
        fence: Fence(4),
        attempts: 3,
        deaths: 2,
        doubt: Some(Fence(4)),
        arrived: at(0),
        watch: Timestamp::NEVER,
        warned: false,
    }
}

fn rules(doubt: DoubtPolicy) -> Rules {
    Rules {
        doubt,
        ..Rules::default()
    }
}

#[test]
fn the_sender_hears_what_notify_asks_for() {
    use DsnKind::{Failure, Success};
    // NOTIFY, and what is owed for mail that was sent, and that bounced.
    for (notify, sent, bounced) in [
        ("", None, Some(Failure)),
        ("NEVER", None, None),
        ("FAILURE", None, Some(Failure)),
        ("SUCCESS", Some(Success), None),
        ("DELAY", None, None),
        ("SUCCESS,FAILURE", Some(Success), Some(Failure)),
        ("SUCCESS,DELAY", Some(Success), None),
        ("FAILURE,DELAY", None, Some(Failure)),
    ] {
        for (status, fate, owed) in [
            (Status::Deferred, Fate::Pending, None),
            (Status::Sent, Fate::Sent, sent),
            (Status::Bounced, Fate::Bounced, bounced),
        ] {
            for (null_sender, owed) in [(MAIL, owed), (NULL, None)] {
                let mut one = recipient(notify);
                let mut settled = Settled::default();
                settle(&mut one, &outcome(status), null_sender, &mut settled);
                let row = (notify, status, null_sender);
                assert_eq!((one.fate, one.owed), (fate, owed), "{row:?}");
                let wanted = Settled {
                    recipients: u32::from(fate != Fate::Pending),
                    owes: owed.is_some(),
                    doubtful: false,
                };
                assert_eq!(settled, wanted, "{row:?}");
                assert_eq!(one.outcome().unwrap(), Some(outcome(status)), "{row:?}");
                assert!(!one.doubtful, "{row:?}");
            }
        }
    }
}

#[test]
fn nobody_reports_a_success_that_the_server_reports() {
    let mut one = recipient("SUCCESS");
    let mut sent = outcome(Status::Sent);
    sent.server_reports = true;
    let mut settled = Settled::default();
    settle(&mut one, &sent, MAIL, &mut settled);
    assert_eq!((one.fate, one.owed), (Fate::Sent, None));
    assert!(!settled.owes);
}

#[test]
fn a_recipient_who_is_settled_stays_so() {
    for fate in [Fate::Sent, Fate::Bounced, Fate::Cancelled] {
        for status in [Status::Sent, Status::Deferred, Status::Bounced] {
            let mut one = recipient("SUCCESS,FAILURE");
            one.fate = fate;
            let before = one.clone();
            let mut settled = Settled::default();
            settle(&mut one, &uncertain(status), MAIL, &mut settled);
            leave_open(&mut one, true, &mut settled);
            assert_eq!(one, before, "{status}");
            assert_eq!(settled, Settled::default(), "{fate:?} {status}");
        }
    }
}

#[test]
fn a_doubt_marks_who_may_have_the_message() {
    // Where a last verdict follows, nobody is tried again: there is nothing to ask.
    for (status, open) in [
        (Status::Sent, false),
        (Status::Deferred, true),
        (Status::Bounced, false),
    ] {
        let mut one = recipient("");
        let mut settled = Settled::default();
        settle(&mut one, &uncertain(status), MAIL, &mut settled);
        assert_eq!((one.doubtful, settled.doubtful), (true, open), "{status}");
        // An attempt that leaves no doubt does not take an earlier one away.
        let (mut one, mut settled) = (recipient(""), Settled::default());
        one.doubtful = true;
        settle(&mut one, &outcome(status), MAIL, &mut settled);
        assert_eq!((one.doubtful, settled.doubtful), (true, false), "{status}");
    }
}

#[test]
fn a_recipient_without_an_outcome_is_in_doubt_after_the_mark() {
    for in_doubt in [false, true] {
        let (mut one, mut settled) = (recipient(""), Settled::default());
        leave_open(&mut one, in_doubt, &mut settled);
        let wanted = Settled {
            doubtful: in_doubt,
            ..Settled::default()
        };
        assert_eq!((one.doubtful, settled), (in_doubt, wanted));
        assert_eq!((one.fate, one.verdict), (Fate::Pending, None));
    }
}

#[test]
fn a_doubt_holds_a_task_where_an_operator_is_to_be_asked() {
    let (retry, ask) = (DoubtPolicy::Retry, DoubtPolicy::Hold);
    let hold = TaskState::Held(Hold::Doubt);
    let end = at(5 * DAYS);
    for (policy, doubtful, state, watch) in [
        (retry, false, TaskState::Ready, end),
        (retry, true, TaskState::Ready, end),
        (ask, false, TaskState::Ready, end),
        (ask, true, hold, at(600)),
    ] {
        let mut task = task();
        // Of an earlier attempt: it was decided on then.
        let mut one = recipient("");
        one.doubtful = true;
        let mut settled = Settled {
            doubtful,
            ..Settled::default()
        };
        let left = leave(
            &mut task,
            &message(MAIL),
            &mut [one],
            &rules(policy),
            at(600),
            &mut settled,
        );
        let row = (policy, doubtful);
        assert_eq!(left, Left::Task, "{row:?}");
        assert_eq!((task.state, task.watch), (state, watch), "{row:?}");
        assert_eq!((task.due, task.attempts), (at(1200), 4), "{row:?}");
        assert_eq!((task.deaths, task.doubt), (0, None), "{row:?}");
        assert_eq!(settled.recipients, 0);
    }
}

#[test]
fn a_task_is_over_when_everybody_is_settled() {
    use Fate::{Bounced, Cancelled, Pending, Sent};
    let (over, more) = (Left::Nothing, Left::Task);
    for (fates, left) in [
        (&[] as &[Fate], over),
        (&[Sent], over),
        (&[Bounced, Cancelled, Sent], over),
        (&[Pending], more),
        (&[Sent, Pending], more),
    ] {
        let mut recipients: Vec<_> = fates.iter().map(|_| recipient("")).collect();
        for (one, fate) in recipients.iter_mut().zip(fates) {
            one.fate = *fate;
        }
        let mut settled = Settled::default();
        let rules = rules(DoubtPolicy::Hold);
        let message = message(MAIL);
        let found = leave(
            &mut task(),
            &message,
            &mut recipients,
            &rules,
            at(600),
            &mut settled,
        );
        assert_eq!(found, left, "{fates:?}");
    }
}

/// Ends an attempt of a task with one recipient, so many microseconds after the message came. Returns what is left of it.
fn end(
    one: QueuedRecipient,
    null_sender: bool,
    rules: &Rules,
    micros: i64,
) -> (Left, QueuedRecipient, Settled) {
    let mut recipients = [one];
    let mut settled = Settled::default();
    let left = leave(
        &mut task(),
        &message(null_sender),
        &mut recipients,
        rules,
        Timestamp::from_micros(micros),
        &mut settled,
    );
    let [one] = recipients;
    (left, one, settled)
}

#[test]
fn the_last_attempt_is_the_one_that_ends_after_the_lifetime() {
    let day = DAYS * 1_000_000;
    // Days for mail and for mail of the null sender, when the attempt ends, and whether it is the last.
    for (mail, bounces, null_sender, micros, last) in [
        (5, 1, MAIL, 5 * day - 1, false),
        (5, 1, MAIL, 5 * day, true),
        (5, 1, MAIL, 9 * day, true),
        (5, 1, NULL, day - 1, false),
        (5, 1, NULL, day, true),
        (2, 5, NULL, 2 * day - 1, false),
        (2, 5, NULL, 2 * day, true),
        (0, 5, MAIL, 0, true),
        (0, 5, NULL, 0, true),
        (5, 0, MAIL, 1, false),
        (5, 0, NULL, 0, true),
    ] {
        let mut rules = rules(DoubtPolicy::Retry);
        rules.schedule.maximal_lifetime = Duration::from_secs(mail * 86_400);
        rules.schedule.bounce_lifetime = Duration::from_secs(bounces * 86_400);
        let (left, one, settled) = end(recipient(""), null_sender, &rules, micros);
        let row = (mail, bounces, null_sender, micros);
        let (wanted, fate) = match last {
            true => (Left::Nothing, Fate::Bounced),
            false => (Left::Task, Fate::Pending),
        };
        assert_eq!((left, one.fate), (wanted, fate), "{row:?}");
        assert_eq!(settled.recipients, u32::from(last), "{row:?}");
        assert_eq!(settled.owes, last && null_sender == MAIL, "{row:?}");
        assert_eq!(one.owed.is_some(), settled.owes, "{row:?}");
    }
}

#[test]
fn who_expires_gets_the_last_verdict_as_a_failure() {
    let soft = {
        let mut outcome = outcome(Status::Deferred);
        outcome.word = "SOFTBOUNCE";
        outcome
    };
    let untried = "message delivery expired before it was tried";
    for (last, code, text) in [
        (Some(outcome(Status::Deferred)), (4, 2, 2), "so it says"),
        (Some(uncertain(Status::Deferred)), (4, 2, 2), "so it says"),
        (Some(soft), (4, 2, 2), "so it says"),
        (None, (4, 4, 7), untried),
    ] {
        let mut one = recipient("FAILURE");
        if let Some(last) = &last {
            settle(&mut one, last, MAIL, &mut Settled::default());
        }
        let doubt = last.is_some_and(|last| last.uncertain);
        // A task that is over is not held, whatever may have come of it.
        let rules = rules(DoubtPolicy::Hold);
        let (left, one, settled) = end(one, MAIL, &rules, 5 * DAYS * 1_000_000);
        assert_eq!(left, Left::Nothing);
        assert_eq!(
            (one.fate, one.owed),
            (Fate::Bounced, Some(DsnKind::Failure))
        );
        assert!(settled.owes);
        let verdict = one.outcome().unwrap().unwrap();
        let (class, subject, detail) = code;
        assert_eq!(verdict.code, EnhancedStatus::new(class, subject, detail));
        assert_eq!(verdict.text.as_str(), text);
        let words = (verdict.status, verdict.word, verdict.action);
        assert_eq!(words, (Status::Bounced, "bounced", Action::Failed));
        assert_eq!((one.doubtful, verdict.uncertain), (doubt, doubt));
    }
}

#[test]
fn a_verdict_that_cannot_be_read_does_not_keep_anybody() {
    let mut one = recipient("");
    one.verdict = Some("{\"status\":".to_owned());
    let rules = rules(DoubtPolicy::Retry);
    let (left, one, _) = end(one, MAIL, &rules, 5 * DAYS * 1_000_000);
    assert_eq!((left, one.fate), (Left::Nothing, Fate::Bounced));
    let verdict = one.outcome().unwrap().unwrap();
    assert_eq!(verdict.code, EnhancedStatus::new(4, 4, 7));
}

#[test]
fn who_is_settled_does_not_expire() {
    let rules = rules(DoubtPolicy::Retry);
    for fate in [Fate::Sent, Fate::Cancelled] {
        let mut one = recipient("");
        one.fate = fate;
        let (left, one, settled) = end(one, MAIL, &rules, 9 * DAYS * 1_000_000);
        assert_eq!((left, one.fate, one.owed), (Left::Nothing, fate, None));
        assert_eq!(settled, Settled::default());
    }
}

/// The word of an attempt on its destination.
#[derive(Debug)]
enum Says {
    Good,
    Bad,
    Nothing,
}

#[test]
fn a_destination_fails_where_other_mail_would_meet_the_same() {
    use Status::{Bounced, Deferred, Sent};
    for (outcomes, says) in [
        (vec![], Says::Nothing),
        (vec![outcome(Sent)], Says::Good),
        (vec![outcome(Bounced)], Says::Good),
        // A mailbox that is full, a message that is refused for now.
        (vec![outcome(Deferred)], Says::Good),
        (vec![outcome(Deferred), outcome(Sent)], Says::Good),
        (vec![of_destination(Deferred)], Says::Bad),
        (vec![outcome(Deferred), of_destination(Deferred)], Says::Bad),
        (vec![outcome(Bounced), of_destination(Deferred)], Says::Bad),
        // Nobody is tried again.
        (vec![of_destination(Bounced)], Says::Good),
    ] {
        let rules = Rules::default();
        let name = "smtp:example.com".parse().unwrap();
        let mut one = Destination::new(name, &rules.concurrency);
        (one.running, one.fail_cohorts) = (3, 0.5);
        feed_back(&mut one, &outcomes, &rules, at(9));
        let (window, cohorts) = match says {
            Says::Good => (6, 0.0),
            // The first failure takes one more, as in `qmgr_queue_throttle`.
            Says::Bad => (3, 0.7),
            Says::Nothing => (5, 0.5),
        };
        assert_eq!((one.window, one.running), (window, 2), "{outcomes:?}");
        let near = (one.fail_cohorts - cohorts).abs() < 1e-9;
        assert!(near && one.dead.is_none(), "{says:?}: {outcomes:?}");
    }
}

#[test]
fn a_destination_that_fails_for_a_window_rests_for_a_minimal_back_off() {
    let rules = Rules::default();
    let name = "smtp:example.com".parse().unwrap();
    let mut one = Destination::new(name, &rules.concurrency);
    (one.running, one.window) = (1, 1);
    feed_back(&mut one, &[of_destination(Status::Deferred)], &rules, at(9));
    let dead = one.dead.clone().unwrap();
    assert_eq!((dead.until, one.running), (at(309), 0));
    assert_eq!(dead.why, "connection refused");
    // A delivery that ends after the rest finds it awake.
    one.running = 1;
    feed_back(&mut one, &[], &rules, at(309));
    assert_eq!((one.dead, one.running), (None, 0));
}
