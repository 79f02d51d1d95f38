//! Operations that are committed together.

use core::pin::{Pin, pin};
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    task::{Context, Waker},
};

use outpost_queue::{
    model::{Message, MessageId, Shared, Timestamp},
    store::{Operation, Store, StoreError, Transaction, sqlite::SqliteStore},
};

use super::{
    Sqlite, block_on,
    conformance::{Fixture, rows::message, script},
};

/// Keeps the thread that writes until somebody says so.
struct Wait(Mutex<Receiver<()>>);

impl Operation for Wait {
    type Output = ();

    async fn run<T: Transaction>(&self, _: &mut T) -> Result<(), StoreError> {
        self.0.lock().unwrap().recv().unwrap();
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    Failed,
    Panicked,
    Waiting,
}

/// Counts up, adds a message under the new number, and ends in one of these ways.
#[derive(Clone, Debug)]
struct Step {
    end: End,
    durable: bool,
}

impl Operation for Step {
    type Output = i64;

    fn is_durable(&self) -> bool {
        self.durable
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<i64, StoreError> {
        let number = tx.allocate(1).await?[0];
        let one = Shared {
            topic: "t".into(),
            key: "k".into(),
            value: String::new(),
            number: 1,
            until: Timestamp::NEVER,
        };
        tx.add_shared(&[one]).await?;
        tx.insert_messages(&[message(number)]).await?;
        match self.end {
            End::Well => Ok(number),
            End::Failed => Err(StoreError::Other("it was to fail".into())),
            End::Panicked => std::panic::resume_unwind(Box::new("it was to panic")),
            End::Waiting => core::future::pending().await,
        }
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<i64, StoreError>> + Send + 'a>>;

/// Runs steps in one transaction: they come while the thread is kept.
fn together(store: &SqliteStore, steps: &[Step], drops: &[usize]) -> Vec<Result<i64, StoreError>> {
    let (go, wait) = channel();
    let waker = Waker::from(Arc::new(super::Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut first = pin!(store.run(Wait(Mutex::new(wait))));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let mut answers: Vec<Option<Answer<'_>>> = steps
        .iter()
        .map(|step| Some(Box::pin(store.run(step.clone())) as Answer<'_>))
        .collect();
    for answer in answers.iter_mut().flatten() {
        assert!(answer.as_mut().poll(&mut context).is_pending());
    }
    for place in drops {
        answers[*place] = None;
    }
    go.send(()).unwrap();
    block_on(first).unwrap();
    answers.into_iter().flatten().map(block_on).collect()
}

#[test]
fn one_that_fails_leaves_the_others_alone() {
    let on = Sqlite::fresh();
    let ends = [
        End::Well,
        End::Failed,
        End::Panicked,
        End::Waiting,
        End::Well,
        End::Failed,
    ];
    for durable in [true, false] {
        let steps = ends.map(|end| Step { end, durable });
        let answers = together(on.store(), &steps, &[]);
        let good: Vec<i64> = answers.iter().flatten().copied().collect();
        assert_eq!(good.len(), 2);
        for (answer, end) in answers.iter().zip(ends) {
            assert_eq!(answer.is_ok(), end == End::Well, "{end:?}");
        }
        // Each has its row, and what the others have counted is not there.
        let found = on.run(script!(tx [good: Vec<i64>] -> Vec<Message> {
            let ids: Vec<MessageId> = good.iter().copied().map(MessageId).collect();
            tx.messages(&ids).await
        }));
        assert_eq!(
            found,
            good.iter().map(|id| message(*id)).collect::<Vec<_>>()
        );
    }
    let all = on.run(script!(tx [] -> (usize, i64) {
        let listed = tx.list(&Default::default(), None, 100).await?;
        let sum = tx.scan_shared("t", "", 1, Timestamp::default()).await?;
        Ok((listed.len(), sum[0].number))
    }));
    assert_eq!(all, (4, 4));
}

#[test]
fn what_nobody_waits_for_is_not_done() {
    let on = Sqlite::fresh();
    let steps = [(); 3].map(|()| Step {
        end: End::Well,
        durable: true,
    });
    assert_eq!(together(on.store(), &steps, &[1]).len(), 2);
    let sum = on.run(script!(tx [] -> i64 {
        Ok(tx.scan_shared("t", "", 1, Timestamp::default()).await?[0].number)
    }));
    assert_eq!(sum, 2);
}

#[test]
fn what_only_reads_waits_for_nobody_and_writes_nothing() {
    struct Read(bool);

    impl Operation for Read {
        type Output = usize;

        fn reads_only(&self) -> bool {
            true
        }

        async fn run<T: Transaction>(&self, tx: &mut T) -> Result<usize, StoreError> {
            if self.0 {
                tx.insert_messages(&[message(1)]).await?;
            }
            Ok(tx.list(&Default::default(), None, 9).await?.len())
        }
    }

    let on = Sqlite::fresh();
    let (go, wait) = channel();
    let waker = Waker::from(Arc::new(super::Unpark(std::thread::current())));
    let mut first = pin!(on.store().run(Wait(Mutex::new(wait))));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(on.run(Read(false)), 0);
    let error = on.attempt(Read(true)).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    go.send(()).unwrap();
    block_on(first).unwrap();
    assert_eq!(on.run(Read(false)), 0);
}
