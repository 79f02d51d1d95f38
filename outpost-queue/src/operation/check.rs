//! Looks at the whole queue, and says what should not be.

use std::collections::BTreeMap;

use crate::{
    model::{
        Destination, DestinationName, Fate, Filter, Message, MessageId, MessageState,
        QueuedRecipient, Task, TaskState, Timestamp,
    },
    rules::Rules,
    store::{Operation, StoreError, Transaction, memory::Rows},
};

/// Reads the whole queue, and finds what contradicts itself. It changes nothing, and takes long for a large queue. While
/// others change the queue, a store whose transactions do not see one moment alone may show contradictions that are none.
#[derive(Clone, Debug)]
pub struct Check {
    /// The rules of all who change the queue.
    pub rules: Rules,
}

/// The messages that are read at a time.
const PAGE: usize = 500;

impl Operation for Check {
    /// A sentence for each contradiction.
    type Output = Vec<String>;

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<String>, StoreError> {
        let now = tx.now().await?;
        let mut rows = Rows::default();
        let mut found = Vec::new();
        for state in [
            MessageState::Arriving,
            MessageState::Queued,
            MessageState::Finished,
        ] {
            read(tx, state, &mut rows, &mut found).await?;
        }
        for load in tx.loads(i32::MAX as usize).await? {
            let destination = load.destination;
            rows.destinations
                .insert(destination.name.clone(), destination);
        }
        found.append(&mut rows.contradictions(&self.rules, now));
        Ok(found)
    }
}

/// Reads all messages in a state.
async fn read<T: Transaction>(
    tx: &mut T,
    state: MessageState,
    rows: &mut Rows,
    found: &mut Vec<String>,
) -> Result<(), StoreError> {
    let filter = Filter {
        state: Some(state),
        ..Filter::default()
    };
    let mut after = None;
    loop {
        let page = tx.list(&filter, after, PAGE).await?;
        let ids: Vec<MessageId> = page.iter().map(|one| one.id).collect();
        let Some(last) = ids.last() else {
            return Ok(());
        };
        after = Some(*last);
        let tasks = tx.tasks_of(&ids).await?;
        rows.tasks
            .extend(tasks.into_iter().map(|one| (one.id, one)));
        for id in &ids {
            let recipients = tx.recipients_of(*id).await?;
            let keyed = recipients.into_iter();
            rows.recipients
                .extend(keyed.map(|one| ((one.message, one.number), one)));
        }
        if state == MessageState::Finished {
            for text in tx.first_chunks(&ids).await? {
                found.push(format!(
                    "message {} is finished and has a text",
                    text.message
                ));
            }
        }
        rows.messages
            .extend(page.into_iter().map(|one| (one.id, one)));
    }
}

impl Rows {
    /// The contradictions in these rows: a sentence each.
    pub fn contradictions(&self, rules: &Rules, now: Timestamp) -> Vec<String> {
        let mut audit = Audit {
            rows: self,
            found: Vec::new(),
        };
        let (mut pending, mut left) = (BTreeMap::new(), BTreeMap::new());
        for one in self.recipients.values() {
            audit.recipient(one);
            if one.fate == Fate::Pending {
                *pending.entry(one.message).or_insert(0_u32) += 1;
                *left.entry(one.task).or_insert(0_u32) += 1;
            }
        }
        for one in self.messages.values() {
            audit.message(one, pending.get(&one.id).copied().unwrap_or(0));
        }
        let mut sites: BTreeMap<&DestinationName, Site> = BTreeMap::new();
        for one in self.tasks.values() {
            audit.task(one, left.contains_key(&one.id));
            sites.entry(&one.destination).or_default().add(one);
        }
        for one in self.destinations.values() {
            let site = sites.remove(&one.name).unwrap_or_default();
            audit.destination(one, &site, rules, now);
        }
        for (name, site) in sites {
            audit.expect(site.leased == 0 && site.due == Timestamp::NEVER, || {
                format!("{name} has tasks that were seen, and is not known")
            });
        }
        audit.found
    }
}

/// A destination's tasks in sum: the number that are leased, and the time at which the first ready one is due.
struct Site {
    leased: u32,
    due: Timestamp,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            leased: 0,
            due: Timestamp::NEVER,
        }
    }
}

impl Site {
    fn add(&mut self, task: &Task) {
        match task.state {
            TaskState::Leased(_) => self.leased += 1,
            TaskState::Ready => self.due = self.due.min(task.due),
            TaskState::New | TaskState::Held(_) => {}
        }
    }
}

struct Audit<'a> {
    rows: &'a Rows,
    found: Vec<String>,
}

impl Audit<'_> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.found.push(what());
        }
    }

    fn recipient(&mut self, one: &QueuedRecipient) {
        let name = || format!("recipient {} of message {}", one.number, one.message);
        let message = self.rows.messages.get(&one.message);
        let task = self.rows.tasks.get(&one.task);
        let waits =
            one.fate != Fate::Pending || task.is_some_and(|task| task.message == one.message);
        let told = !matches!(one.fate, Fate::Sent | Fate::Bounced) || one.verdict.is_some();
        let due = |message: &Message| message.report_at != Timestamp::NEVER;
        let owed = one.owed.is_none() || message.is_some_and(due);
        self.expect(message.is_some(), || format!("{} has no message", name()));
        self.expect(waits, || format!("{} waits without a task", name()));
        self.expect(told, || format!("{} has a fate and no verdict", name()));
        self.expect(owed, || {
            format!("{} is owed a report that nobody makes", name())
        });
    }

    fn message(&mut self, one: &Message, pending: u32) {
        let (id, unsettled) = (one.id, one.unsettled);
        self.expect(unsettled == pending, || {
            format!("message {id} has {pending} recipients who wait, and counts {unsettled}")
        });
        let over = unsettled == 0 && one.report_at == Timestamp::NEVER;
        let fits = match one.state {
            MessageState::Arriving => unsettled == 0,
            MessageState::Queued => !over && one.finished == Timestamp::NEVER,
            MessageState::Finished => over && one.finished != Timestamp::NEVER,
        };
        self.expect(fits, || {
            let state = one.state;
            format!(
                "message {id} is {state:?} with {unsettled} recipients who wait, a report at {} and finished at {}",
                one.report_at, one.finished
            )
        });
        let texts = self.rows.chunks.range((id, 0)..=(id, u32::MAX));
        let has_text = texts.count() > 0;
        self.expect(!has_text || one.state != MessageState::Finished, || {
            format!("message {id} is finished and has a text")
        });
    }

    fn task(&mut self, one: &Task, has_recipients: bool) {
        let id = one.id;
        let message = self.rows.messages.get(&one.message);
        let queued = message.is_some_and(|message| message.state == MessageState::Queued);
        self.expect(queued, || format!("task {id} has no message in the queue"));
        self.expect(has_recipients, || format!("nobody waits for task {id}"));
        let doubt = match one.state {
            TaskState::Leased(_) => one.doubt.is_none_or(|doubt| doubt == one.fence),
            _ => one.doubt.is_none(),
        };
        self.expect(doubt, || {
            format!(
                "task {id} is {:?} and in doubt of {:?}",
                one.state, one.doubt
            )
        });
    }

    fn destination(&mut self, one: &Destination, site: &Site, rules: &Rules, now: Timestamp) {
        let (name, leased) = (&one.name, site.leased);
        self.expect(one.running == leased, || {
            format!(
                "{name} has {leased} tasks under way, and counts {}",
                one.running
            )
        });
        self.expect(one.window >= 1, || format!("{name} has no window"));
        let rest = one.dead.as_ref().map_or(now, |dead| dead.until);
        let open = now.max(rest).max(one.next_start);
        let wakes = one.free_turns(&rules.concurrency, open) == 0
            || site.due == Timestamp::NEVER
            || one.ready_at <= site.due.max(open);
        self.expect(wakes, || {
            format!(
                "{name} has a task due at {}, turns at {open}, and nobody looks before {}",
                site.due, one.ready_at
            )
        });
    }
}
