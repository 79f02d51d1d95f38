//! Messages.

use outpost_queue::{
    model::{Kind, Message, MessageId, MessageState, Timestamp},
    store::Transaction,
};

use super::{
    Fixture,
    rows::{NONE, Rows, at, chunk, message, message_ids, numbers, recipient, task},
    script,
};

fn put(on: &impl Fixture, messages: &[Message]) {
    let rows = Rows {
        messages: messages.to_vec(),
        ..Rows::default()
    };
    rows.put(on);
}

fn find(on: &impl Fixture, ids: &[i64]) -> Vec<Message> {
    let ids: Vec<MessageId> = ids.iter().copied().map(MessageId).collect();
    let found = on.run(script!(tx [ids: Vec<MessageId>] -> Vec<Message> {
        tx.messages(ids).await
    }));
    let locked = on.run(script!(tx [ids: Vec<MessageId>] -> Vec<Message> {
        tx.lock_messages(ids).await
    }));
    assert_eq!(found, locked);
    found
}

pub(crate) fn found_by_name_in_order(on: &impl Fixture) {
    let ids = numbers(on, 4);
    let all: Vec<Message> = ids.iter().map(|id| message(*id)).collect();
    put(on, &[all[2].clone(), all[0].clone(), all[1].clone()]);
    assert_eq!(find(on, &ids), all[..3]);
    assert_eq!(find(on, &ids[1..2]), all[1..2]);
    assert_eq!(find(on, &ids[3..]), []);
}

pub(crate) fn replaced_as_a_whole(on: &impl Fixture) {
    let ids = numbers(on, 2);
    let begun = Message {
        state: MessageState::Arriving,
        sender: String::new(),
        envelope: String::new(),
        size: 0,
        ..message(ids[0])
    };
    let other = message(ids[1]);
    put(on, &[begun, other.clone()]);
    let whole = Message {
        kind: Kind::Report,
        state: MessageState::Finished,
        sender: "\"ü' \\%_\"@例.example".into(),
        envelope: "{\"a\":\"\u{1F4E8}\\n\"}".into(),
        size: u64::from(u32::MAX) * 4,
        arrived: at(-5),
        unsettled: u32::MAX >> 1,
        report_at: at(77),
        finished: at(i64::MAX - 1),
        ..message(ids[0])
    };
    let new = vec![whole.clone()];
    on.run(script!(tx [new: Vec<Message>] -> () { tx.replace_messages(new).await }));
    assert_eq!(find(on, &ids), [whole, other]);
}

pub(crate) fn saved_without_what_stays(on: &impl Fixture) {
    let ids = numbers(on, 2);
    let (old, other) = (message(ids[0]), message(ids[1]));
    put(on, &[old.clone(), other.clone()]);
    let saved = Message {
        id: old.id,
        kind: Kind::Report,
        state: MessageState::Finished,
        sender: "somebody@else".into(),
        envelope: "{}".into(),
        size: 99,
        arrived: at(99),
        unsettled: 0,
        report_at: at(5),
        finished: at(6),
    };
    let new = vec![saved.clone()];
    on.run(script!(tx [new: Vec<Message>] -> () { tx.save_messages(new).await }));
    let wanted = Message {
        sender: old.sender,
        envelope: old.envelope,
        size: old.size,
        arrived: old.arrived,
        ..saved
    };
    assert_eq!(find(on, &ids), [wanted, other]);
}

pub(crate) fn owing_ones_come_earliest_first(on: &impl Fixture) {
    let ids = numbers(on, 5);
    let times = [at(30), at(10), Timestamp::NEVER, at(20), at(31)];
    let owing: Vec<Message> = ids
        .iter()
        .zip(times)
        .map(|(id, report_at)| Message {
            report_at,
            ..message(*id)
        })
        .collect();
    put(on, &owing);
    let ask = |now: i64, limit: usize| {
        let now = at(now);
        message_ids(
            &on.run(script!(tx [now: Timestamp, limit: usize] -> Vec<Message> {
                tx.lock_owing(*now, *limit).await
            })),
        )
    };
    assert_eq!(ask(30, 10), [ids[1], ids[3], ids[0]]);
    assert_eq!(ask(30, 2), [ids[1], ids[3]]);
    assert_eq!(ask(9, 10), NONE);
    assert_eq!(ask(30, 0), NONE);
}

pub(crate) fn stale_ones_are_found_by_their_end(on: &impl Fixture) {
    let ids = numbers(on, 6);
    let made = |id: usize, state, arrived, finished| Message {
        state,
        arrived: at(arrived),
        finished,
        ..message(ids[id])
    };
    put(
        on,
        &[
            made(0, MessageState::Finished, 1, at(99)),
            made(1, MessageState::Finished, 1, at(100)),
            made(2, MessageState::Queued, 1, Timestamp::NEVER),
            made(3, MessageState::Arriving, 49, Timestamp::NEVER),
            made(4, MessageState::Arriving, 50, Timestamp::NEVER),
            made(5, MessageState::Finished, 1, at(98)),
        ],
    );
    let ask = |limit: usize| {
        let mut found = message_ids(&on.run(script!(tx [limit: usize] -> Vec<Message> {
            tx.lock_stale(at(100), at(50), *limit).await
        })));
        found.sort_unstable();
        found
    };
    assert_eq!(ask(10), [ids[0], ids[3], ids[5]]);
    assert_eq!(ask(2).len(), 2);
    assert_eq!(ask(0), NONE);
}

pub(crate) fn deleted_with_all_that_is_theirs(on: &impl Fixture) {
    let ids = numbers(on, 6);
    let (gone, stays) = (ids[0], ids[1]);
    let rows = Rows {
        messages: vec![message(gone), message(stays)],
        chunks: vec![
            chunk(gone, 0, b"a"),
            chunk(gone, 1, b"b"),
            chunk(stays, 0, b"c"),
        ],
        tasks: vec![
            task(ids[2], gone, "a.example"),
            task(ids[3], gone, "b.example"),
            task(ids[4], stays, "a.example"),
        ],
        // The last is of a task that is over.
        recipients: vec![
            recipient(gone, 0, ids[2]),
            recipient(gone, 1, ids[3]),
            recipient(stays, 0, ids[4]),
            recipient(gone, 2, ids[5]),
        ],
    };
    rows.put(on);
    on.run(script!(tx [gone: i64] -> () { tx.delete_messages(&[MessageId(*gone)]).await }));
    for (message, there) in [(gone, false), (stays, true)] {
        let found = on.run(script!(tx [message: i64] -> [usize; 4] {
            let ids = [MessageId(*message)];
            Ok([
                tx.messages(&ids).await?.len(),
                usize::from(tx.chunk(ids[0], 0).await?.is_some()),
                tx.tasks_of(&ids).await?.len(),
                tx.recipients_of(ids[0]).await?.len(),
            ])
        }));
        assert_eq!(found, [usize::from(there); 4], "message {message}");
    }
}
