//! Recipients.

use outpost_queue::{
    model::{Fate, MessageId, QueuedRecipient, TaskId},
    store::Transaction,
};
use smtp_policy::{report::DsnKind, request::Recipient};
use smtp_proto::{Address, Notify};

use super::{
    Fixture,
    rows::{Rows, message, numbers, recipient, task},
    script,
};

fn put(on: &impl Fixture, recipients: &[QueuedRecipient]) {
    let mut messages: Vec<i64> = recipients.iter().map(|one| one.message.0).collect();
    messages.dedup();
    let mut tasks: Vec<(i64, i64)> = recipients
        .iter()
        .map(|one| (one.task.0, one.message.0))
        .collect();
    tasks.sort_unstable();
    tasks.dedup();
    let rows = Rows {
        messages: messages.into_iter().map(message).collect(),
        tasks: tasks
            .into_iter()
            .map(|(id, message)| task(id, message, "a.example"))
            .collect(),
        recipients: recipients.to_vec(),
        ..Rows::default()
    };
    rows.put(on);
}

fn of_message(on: &impl Fixture, message: i64) -> Vec<QueuedRecipient> {
    on.run(script!(tx [message: i64] -> Vec<QueuedRecipient> {
        tx.recipients_of(MessageId(*message)).await
    }))
}

fn places(recipients: &[QueuedRecipient]) -> Vec<(i64, u32)> {
    recipients
        .iter()
        .map(|one| (one.message.0, one.number))
        .collect()
}

pub(crate) fn found_by_task_in_the_order_of_the_envelope(on: &impl Fixture) {
    let n = numbers(on, 5);
    let (one, two) = (n[0], n[1]);
    let mut settled = recipient(one, 2, n[3]);
    settled.fate = Fate::Sent;
    put(
        on,
        &[
            recipient(one, 3, n[2]),
            recipient(one, 0, n[3]),
            settled,
            recipient(one, 1, n[2]),
            recipient(two, 0, n[4]),
        ],
    );
    let ask = |tasks: &[i64], pending: bool| {
        let tasks: Vec<TaskId> = tasks.iter().copied().map(TaskId).collect();
        let found = on.run(
            script!(tx [tasks: Vec<TaskId>, pending: bool] -> Vec<QueuedRecipient> {
                tx.recipients(tasks, *pending).await
            }),
        );
        places(&found)
    };
    let all = [(one, 0), (one, 1), (one, 2), (one, 3), (two, 0)];
    assert_eq!(ask(&n[2..], false), all);
    assert_eq!(ask(&n[2..], true), [(one, 0), (one, 1), (one, 3), (two, 0)]);
    assert_eq!(ask(&[n[3]], true), [(one, 0)]);
    assert_eq!(ask(&[n[0]], false), []);
    assert_eq!(ask(&[], false), []);
    assert_eq!(places(&of_message(on, one)), all[..4]);
}

pub(crate) fn every_field_comes_back(on: &impl Fixture) {
    let n = numbers(on, 2);
    let mut all = Vec::new();
    let fates = [Fate::Pending, Fate::Sent, Fate::Bounced, Fate::Cancelled];
    let owed = [
        None,
        Some(DsnKind::Failure),
        Some(DsnKind::Delay),
        Some(DsnKind::Success),
    ];
    let wishes = [
        Notify::NONE,
        Notify::NEVER,
        Notify::SUCCESS | Notify::FAILURE | Notify::DELAY,
        Notify::DELAY,
    ];
    for number in 0..4 {
        let mut one = recipient(n[0], number, n[1]);
        let place = number as usize;
        one.fate = fates[place];
        one.owed = owed[place];
        one.recipient.notify = wishes[place];
        one.doubtful = number % 2 == 1;
        one.verdict = (number > 1).then(|| "{\"text\":\"250 2.0.0 ok; 'ü'\"}".to_owned());
        one.recipient.orcpt = (number > 0).then(|| "rfc822;a\"b;c@x".parse().unwrap());
        one.recipient.original = (number > 2).then(|| "Lists <all>".parse().unwrap());
        all.push(one);
    }
    put(on, &all);
    assert_eq!(of_message(on, n[0]), all);
}

pub(crate) fn saved_without_what_stays(on: &impl Fixture) {
    let n = numbers(on, 2);
    let (old, other) = (recipient(n[0], 0, n[1]), recipient(n[0], 1, n[1]));
    put(on, &[old.clone(), other.clone()]);
    let mut saved = old.clone();
    saved.fate = Fate::Bounced;
    saved.doubtful = true;
    saved.verdict = Some("{}".into());
    saved.owed = Some(DsnKind::Failure);
    let new = vec![QueuedRecipient {
        recipient: Recipient::new(Address::parse("another@x").unwrap()),
        ..saved.clone()
    }];
    on.run(script!(tx [new: Vec<QueuedRecipient>] -> () { tx.save_recipients(new).await }));
    assert_eq!(of_message(on, n[0]), [saved, other.clone()]);
    let new = vec![old.clone()];
    on.run(script!(tx [new: Vec<QueuedRecipient>] -> () { tx.save_recipients(new).await }));
    assert_eq!(of_message(on, n[0]), [old, other]);
}

pub(crate) fn owed_ones_come_by_place(on: &impl Fixture) {
    let n = numbers(on, 4);
    let owed = |message, number, task| QueuedRecipient {
        owed: Some(DsnKind::Failure),
        ..recipient(message, number, task)
    };
    put(
        on,
        &[
            owed(n[0], 2, n[2]),
            recipient(n[0], 1, n[2]),
            owed(n[0], 0, n[2]),
            owed(n[1], 0, n[3]),
        ],
    );
    let ask = |limit: usize| {
        let message = n[0];
        let found = on.run(
            script!(tx [message: i64, limit: usize] -> Vec<QueuedRecipient> {
                tx.owed_recipients(MessageId(*message), *limit).await
            }),
        );
        places(&found)
    };
    assert_eq!(ask(10), [(n[0], 0), (n[0], 2)]);
    assert_eq!(ask(1), [(n[0], 0)]);
    assert_eq!(ask(0), []);
}

pub(crate) fn addresses_may_have_any_character(on: &impl Fixture) {
    let n = numbers(on, 2);
    let addresses = [
        "usér@例え.example",
        "o'brien\"; DROP TABLE task;--@x",
        "\\x00\\%_?$1:a@x",
        "\u{1F4E8}@x",
        "two words@x",
        "tab\there@x",
    ];
    let all: Vec<QueuedRecipient> = (0..)
        .zip(addresses)
        .map(|(number, address)| QueuedRecipient {
            recipient: Recipient::new(Address::parse(address).unwrap()),
            ..recipient(n[0], number, n[1])
        })
        .collect();
    put(on, &all);
    assert_eq!(of_message(on, n[0]), all);
}
