//! Much at once.

use bytes::Bytes;
use outpost_queue::{
    model::{MessageId, QueuedRecipient, Shared, Task, TaskId, TaskState, Timestamp},
    operation::{Addressee, Submission, Submitted},
    store::{CHUNK, Transaction},
};
use smtp_policy::request::Recipient;
use smtp_proto::Address;

use super::{
    Fixture,
    rows::{place, submission, submit},
    script,
};

pub(crate) fn a_hundred_thousand_recipients(on: &impl Fixture) {
    const ALL: usize = 100_000;
    let addressee = |number: usize| Addressee {
        recipient: Recipient::new(Address::parse(&format!("{number}@example.com")).unwrap()),
        destination: place("example.com"),
    };
    let large = Submission {
        recipients: (0..ALL).map(addressee).collect(),
        ..submission(&["a@x"])
    };
    let message = on.run(submit(vec![large]))[0];
    let tasks = on.run(script!(tx [message: MessageId] -> Vec<Task> {
        tx.tasks_of(&[*message]).await
    }));
    assert_eq!(tasks.len(), ALL / 50);
    assert!(tasks.iter().all(|task| task.state == TaskState::New));
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let found = on.run(script!(tx [ids: Vec<TaskId>] -> Vec<QueuedRecipient> {
        let mut found = tx.recipients(ids, true).await?;
        for one in &mut found {
            one.doubtful = true;
        }
        tx.save_recipients(&found).await?;
        tx.recipients(ids, true).await
    }));
    assert_eq!(found.len(), ALL);
    for (number, one) in (0..).zip(&found) {
        assert_eq!((one.number, one.doubtful), (number, true));
        assert_eq!(one.task, ids[number as usize / 50]);
    }
    on.run(script!(tx [ids: Vec<TaskId>, message: MessageId] -> () {
        let tasks = tx.lock_tasks(ids).await?;
        tx.save_tasks(&tasks).await?;
        tx.delete_tasks(ids).await?;
        tx.delete_messages(&[*message]).await
    }));
    let left = on.run(script!(tx [message: MessageId] -> usize {
        Ok(tx.recipients_of(*message).await?.len() + tx.tasks_of(&[*message]).await?.len())
    }));
    assert_eq!(left, 0);
}

pub(crate) fn a_text_of_many_pieces(on: &impl Fixture) {
    // The last piece is short.
    let size = 5 * CHUNK + 1;
    let bytes: Bytes = (0..size).map(|place| (place / 7 % 256) as u8).collect();
    for (text, pieces) in [
        (bytes.slice(..), 6),
        (bytes.slice(..CHUNK), 1),
        (Bytes::new(), 0),
    ] {
        let whole = Submission {
            text: Submitted::Text(text.clone()),
            ..submission(&["a@a.example"])
        };
        let message = on.run(submit(vec![whole]))[0];
        let found = on.run(script!(tx [message: MessageId] -> Vec<Bytes> {
            let mut found = Vec::new();
            while let Some(piece) = tx.chunk(*message, found.len() as u32).await? {
                found.push(piece);
            }
            assert_eq!(tx.messages(&[*message]).await?[0].id, *message);
            Ok(found)
        }));
        assert_eq!(found.len(), pieces);
        assert_eq!(found.concat(), text);
    }
}

pub(crate) fn many_names_at_once(on: &impl Fixture) {
    // More than databases take as separate parameters.
    const ALL: usize = 70_000;
    let things: Vec<Shared> = (0..ALL)
        .map(|number| Shared {
            topic: "t".into(),
            key: format!("{number:06}"),
            value: "v".into(),
            number: 1,
            until: Timestamp::NEVER,
        })
        .collect();
    let found = on.run(script!(tx [things: Vec<Shared>] -> [usize; 3] {
        let keys: Vec<String> = things.iter().map(|one| one.key.clone()).collect();
        let now = Timestamp::from_micros(0);
        let claimed = tx.claim_shared(things, now).await?.len();
        tx.add_shared(things).await?;
        let found = tx.shared("t", &keys, now).await?;
        assert!(found.iter().all(|one| one.number == 2));
        tx.delete_shared("t", &keys).await?;
        Ok([claimed, found.len(), tx.scan_shared("t", "", 10, now).await?.len()])
    }));
    assert_eq!(found, [ALL, ALL, 0]);
}
