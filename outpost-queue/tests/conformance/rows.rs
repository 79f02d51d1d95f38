//! Rows to put into stores.

use outpost_queue::{
    model::{
        DestinationName, Fate, Fence, Kind, Lease, Message, MessageId, MessageState,
        QueuedRecipient, Task, TaskId, TaskState, Timestamp, WorkerName,
    },
    operation::{Addressee, Submission, SubmissionKey, Submit, Submitted},
    store::{Chunk, Transaction},
};
use smtp_policy::request::Recipient;
use smtp_proto::Address;

use super::{Fixture, script};

/// No numbers.
pub(crate) const NONE: [i64; 0] = [];

/// Numbers of the store.
pub(crate) fn numbers(on: &impl Fixture, count: usize) -> Vec<i64> {
    on.run(script!(tx [count: usize] -> Vec<i64> { tx.allocate(*count).await }))
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn place(host: &str) -> DestinationName {
    format!("smtp:{host}").parse().unwrap()
}

/// A message that waits for its verdicts.
pub(crate) fn message(id: i64) -> Message {
    Message {
        id: MessageId(id),
        kind: Kind::Mail,
        state: MessageState::Queued,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        size: 5,
        arrived: at(1_000 + id),
        unsettled: 1,
        report_at: Timestamp::NEVER,
        finished: Timestamp::NEVER,
    }
}

/// A task that is ready, and due at 2,000.
pub(crate) fn task(id: i64, message: i64, host: &str) -> Task {
    Task {
        id: TaskId(id),
        message: MessageId(message),
        destination: place(host),
        state: TaskState::Ready,
        due: at(2_000),
        fence: Fence(3),
        attempts: 1,
        deaths: 0,
        doubt: None,
        arrived: at(1_000 + id),
        watch: Timestamp::NEVER,
        warned: false,
    }
}

pub(crate) fn leased(until: i64) -> TaskState {
    TaskState::Leased(Lease {
        worker: WorkerName("somebody".into()),
        until: at(until),
    })
}

pub(crate) fn recipient(message: i64, number: u32, task: i64) -> QueuedRecipient {
    QueuedRecipient {
        message: MessageId(message),
        number,
        task: TaskId(task),
        recipient: Recipient::new(Address::parse(&format!("r{number}@example.com")).unwrap()),
        fate: Fate::Pending,
        doubtful: false,
        verdict: None,
        owed: None,
    }
}

pub(crate) fn chunk(message: i64, number: u32, bytes: &'static [u8]) -> Chunk {
    Chunk {
        message: MessageId(message),
        number,
        bytes: bytes.into(),
    }
}

/// Everything that a test begins with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) messages: Vec<Message>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) recipients: Vec<QueuedRecipient>,
}

impl Rows {
    pub(crate) fn put(&self, on: &impl Fixture) {
        let rows = self;
        on.run(script!(tx [rows: Rows] -> () { rows.write(tx).await }));
    }

    pub(crate) async fn write<T: Transaction>(
        &self,
        tx: &mut T,
    ) -> Result<(), outpost_queue::store::StoreError> {
        tx.insert_messages(&self.messages).await?;
        tx.insert_chunks(&self.chunks).await?;
        tx.insert_tasks(&self.tasks).await?;
        tx.insert_recipients(&self.recipients).await
    }
}

/// Puts tasks into a store, with a message for each.
pub(crate) fn put_tasks(on: &impl Fixture, tasks: &[Task]) {
    let mut messages: Vec<Message> = tasks.iter().map(|task| message(task.message.0)).collect();
    messages.sort_by_key(|one| one.id);
    messages.dedup_by_key(|one| one.id);
    let rows = Rows {
        messages,
        tasks: tasks.to_vec(),
        ..Rows::default()
    };
    rows.put(on);
}

/// The numbers of tasks.
pub(crate) fn ids(tasks: &[Task]) -> Vec<i64> {
    tasks.iter().map(|task| task.id.0).collect()
}

/// The numbers of messages.
pub(crate) fn message_ids(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|one| one.id.0).collect()
}

/// A message for some addresses, each at the host behind its `@`.
pub(crate) fn submission(to: &[&str]) -> Submission {
    let addressee = |to: &&str| Addressee {
        recipient: Recipient::new(Address::parse(to).unwrap()),
        destination: place(to.rsplit_once('@').unwrap().1),
    };
    Submission {
        kind: Kind::Mail,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        recipients: to.iter().map(addressee).collect(),
        recipient_limit: 50,
        text: Submitted::Text("Subject: hi\n\nhello\n".into()),
    }
}

pub(crate) fn submit(submissions: Vec<Submission>) -> Submit {
    Submit {
        key: SubmissionKey::random(),
        submissions,
    }
}
