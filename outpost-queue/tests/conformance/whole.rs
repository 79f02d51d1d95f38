//! Transactions as such.

use outpost_queue::{
    model::{Message, MessageId, Timestamp},
    store::{Operation, StoreError, Transaction},
};

use super::{
    Fixture,
    rows::{Rows, chunk, message, numbers, place, recipient, task},
    script,
};

/// Adds a message with all that belongs to it, and then fails or not.
#[derive(Clone)]
struct Add {
    rows: Rows,
    fails: bool,
    durable: bool,
}

impl Operation for Add {
    type Output = usize;

    fn is_durable(&self) -> bool {
        self.durable
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<usize, StoreError> {
        self.rows.write(tx).await?;
        tx.add_shared(&[outpost_queue::model::Shared {
            topic: "t".into(),
            key: "k".into(),
            value: String::new(),
            number: 1,
            until: Timestamp::NEVER,
        }])
        .await?;
        match self.fails {
            true => Err(StoreError::Other("it was to fail".into())),
            false => Ok(self.rows.messages.len()),
        }
    }
}

fn add(ids: &[i64]) -> Add {
    Add {
        rows: Rows {
            messages: vec![message(ids[0])],
            chunks: vec![chunk(ids[0], 0, b"text")],
            tasks: vec![task(ids[1], ids[0], "a.example")],
            recipients: vec![recipient(ids[0], 0, ids[1])],
        },
        fails: false,
        durable: true,
    }
}

fn there(on: &impl Fixture, id: i64) -> [usize; 5] {
    on.run(script!(tx [id: i64] -> [usize; 5] {
        let ids = [MessageId(*id)];
        let keys = ["k".to_owned()];
        Ok([
            tx.messages(&ids).await?.len(),
            tx.first_chunks(&ids).await?.len(),
            tx.tasks_of(&ids).await?.len(),
            tx.recipients_of(ids[0]).await?.len(),
            tx.shared("t", &keys, Timestamp::from_micros(0)).await?.len(),
        ])
    }))
}

pub(crate) fn what_fails_leaves_nothing(on: &impl Fixture) {
    let n = numbers(on, 2);
    let bad = Add {
        fails: true,
        ..add(&n)
    };
    assert!(on.attempt(bad.clone()).is_err());
    assert_eq!(there(on, n[0]), [0; 5]);
    assert!(on.attempt(bad).is_err());
    // And stands in nobody's way, not in that of the same rows either.
    on.run(add(&n));
    assert_eq!(there(on, n[0]), [1; 5]);
}

pub(crate) fn what_fails_says_why(on: &impl Fixture) {
    let n = numbers(on, 2);
    let bad = Add {
        fails: true,
        ..add(&n)
    };
    assert_eq!(
        on.attempt(bad),
        Err(StoreError::Other("it was to fail".into()))
    );
}

pub(crate) fn empty_lists_do_nothing(on: &impl Fixture) {
    on.run(script!(tx [] -> () {
        assert_eq!(tx.allocate(0).await?, Vec::<i64>::new());
        Rows::default().write(tx).await?;
        tx.replace_messages(&[]).await?;
        assert_eq!(tx.messages(&[]).await?, []);
        assert_eq!(tx.lock_messages(&[]).await?, []);
        tx.save_messages(&[]).await?;
        tx.delete_texts(&[]).await?;
        tx.delete_messages(&[]).await?;
        assert_eq!(tx.first_chunks(&[]).await?, []);
        assert_eq!(tx.recipients(&[], true).await?, []);
        tx.save_recipients(&[]).await?;
        assert_eq!(tx.lock_tasks(&[]).await?, []);
        assert_eq!(tx.next_due(&[]).await?, []);
        tx.save_tasks(&[]).await?;
        tx.delete_tasks(&[]).await?;
        tx.save_destinations(&[]).await?;
        assert_eq!(tx.tasks_of(&[]).await?, []);
        tx.put_shared(&[]).await?;
        tx.delete_shared("t", &[]).await
    }));
}

pub(crate) fn time_goes_on(on: &impl Fixture) {
    let now = || on.run(script!(tx [] -> Timestamp { tx.now().await }));
    let first = now();
    // 2020, in microseconds: it is a real clock.
    assert!(first.micros() > 1_577_836_800_000_000, "{first}");
    while now() == first {
        std::thread::yield_now();
    }
    assert!(now() > first);
}

pub(crate) fn numbers_grow(on: &impl Fixture) {
    let mut all = numbers(on, 3);
    all.extend(numbers(on, 1));
    all.extend(numbers(on, 1000));
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(all[0] > 0);
    let twice = on.run(script!(tx [] -> Vec<i64> {
        let mut all = tx.allocate(2).await?;
        all.extend(tx.allocate(2).await?);
        Ok(all)
    }));
    assert!(twice.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(twice[0] > all[1003]);
}

pub(crate) fn durability_changes_no_result(on: &impl Fixture) {
    let n = numbers(on, 4);
    for (ids, durable) in [(&n[..2], false), (&n[2..], true)] {
        let operation = Add {
            durable,
            ..add(ids)
        };
        assert_eq!(on.run(operation), 1);
        assert_eq!(there(on, ids[0]), [1; 5]);
    }
}

/// Reads a message, and the same again.
struct Read(i64);

impl Operation for Read {
    type Output = Vec<Message>;

    fn is_durable(&self) -> bool {
        false
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Message>, StoreError> {
        tx.next_due(&[place("nowhere.example")]).await?;
        tx.messages(&[MessageId(self.0)]).await
    }
}

pub(crate) fn what_only_reads_sees_what_was_written(on: &impl Fixture) {
    let n = numbers(on, 4);
    for ids in [&n[..2], &n[2..]] {
        assert_eq!(on.run(Read(ids[0])), []);
        on.run(add(ids));
        assert_eq!(on.run(Read(ids[0])), [message(ids[0])]);
    }
}
