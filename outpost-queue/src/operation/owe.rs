//! Senders hear what they are owed: the reports of a message are made, and what was owed is crossed off, all at once.

use std::collections::BTreeMap;

use smtp_policy::report::DsnKind;
use smtp_proto::Address;

use crate::{
    model::{Kind, Message, MessageId, QueuedRecipient, Task, Timestamp},
    report::{Context, Letter, Made, MadeReport, gather, original},
    rules::{Rules, schedule::is_null, settle::Settled},
    store::{Operation, StoreError, Transaction},
};

use super::{
    conclude::{account, save_messages},
    submit::{Submission, add},
};

/// Makes the reports that messages owe, and finishes messages that were waiting for nothing else.
#[derive(Clone, Debug)]
pub struct MakeReports {
    /// Their contents besides the verdicts.
    pub context: Context,
    /// The rules.
    pub rules: Rules,
    /// The most messages. Fewer are done where they have many recipients.
    pub limit: usize,
}

/// A report that waits for its name.
struct Draft {
    kind: DsnKind,
    about: MessageId,
    recipient: Address,
    recipients: usize,
}

/// The changes that are written in the end.
#[derive(Default)]
struct Work {
    messages: Vec<Message>,
    recipients: Vec<QueuedRecipient>,
    submissions: Vec<Submission>,
    drafts: Vec<Draft>,
    made: Made,
}

impl Operation for MakeReports {
    type Output = Made;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Made, StoreError> {
        let now = tx.now().await?;
        let messages = tx.lock_owing(now, self.limit).await?;
        let mut work = Work::default();
        work.made.more = messages.len() >= self.limit.max(1);
        let tasks = tasks_left(tx, &messages).await?;
        let most = self.context.recipient_limit.max(1);
        let mut told = 0;
        for mut message in messages {
            let left = tasks.get(&message.id).map_or(&[][..], Vec::as_slice);
            if let Some(later) = gather(&message, left, &self.rules.schedule, now) {
                message.report_at = later;
                work.messages.push(message);
                continue;
            }
            if told >= most {
                work.made.more = true;
                break;
            }
            let owed = tx.owed_recipients(message.id, most).await?;
            // Those behind the limit, if there are any, have the next turn.
            let complete = owed.len() < most;
            told += owed.len();
            work.made.more |= !complete;
            self.tell(tx, &message, owed, &mut work, now).await?;
            message.report_at = match complete {
                true => Timestamp::NEVER,
                false => now,
            };
            account(&mut message, Settled::default(), now);
            work.messages.push(message);
        }
        work.write(tx, now).await
    }
}

/// The tasks of messages with recipients who wait.
async fn tasks_left<T: Transaction>(
    tx: &mut T,
    messages: &[Message],
) -> Result<BTreeMap<MessageId, Vec<Task>>, StoreError> {
    let mut ids: Vec<MessageId> = messages
        .iter()
        .filter(|one| one.unsettled > 0)
        .map(|one| one.id)
        .collect();
    ids.sort_unstable();
    let mut tasks: BTreeMap<MessageId, Vec<Task>> = BTreeMap::new();
    if !ids.is_empty() {
        for task in tx.tasks_of(&ids).await? {
            tasks.entry(task.message).or_default().push(task);
        }
    }
    Ok(tasks)
}

impl MakeReports {
    /// Makes the reports on these recipients, one of each kind, and crosses them off.
    async fn tell<T: Transaction>(
        &self,
        tx: &mut T,
        message: &Message,
        mut owed: Vec<QueuedRecipient>,
        work: &mut Work,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let hears = message.kind == Kind::Mail && !is_null(message.kind, &message.sender);
        if let Some(first) = owed.first().filter(|_| hears) {
            match Letter::new(&self.context, message, first) {
                Ok(letter) => {
                    self.write_letter(tx, letter, message, &owed, work, now)
                        .await?;
                }
                // Nobody can be told, and others are not to wait for that.
                Err(why) => work.made.damaged.push((message.id, why.to_string())),
            }
        }
        for one in &mut owed {
            one.owed = None;
        }
        work.recipients.append(&mut owed);
        Ok(())
    }

    async fn write_letter<T: Transaction>(
        &self,
        tx: &mut T,
        mut letter: Letter<'_>,
        message: &Message,
        owed: &[QueuedRecipient],
        work: &mut Work,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut written = Vec::new();
        for kind in [DsnKind::Failure, DsnKind::Delay, DsnKind::Success] {
            let concerned: Vec<&QueuedRecipient> =
                owed.iter().filter(|one| one.owed == Some(kind)).collect();
            if concerned.is_empty() {
                continue;
            }
            let whole = letter.wants_whole(kind);
            let returned = original(tx, message, whole, self.context.size_limit).await?;
            let schedule = &self.rules.schedule;
            if let Some(report) = letter.write(kind, &concerned, &returned, schedule, now) {
                work.submissions.push(report);
                written.push((kind, concerned.len()));
            }
        }
        let damage = letter.damage.drain(..).map(|what| (message.id, what));
        work.made.damaged.extend(damage);
        let recipient = letter.into_sender();
        work.drafts
            .extend(written.into_iter().map(|(kind, recipients)| Draft {
                kind,
                about: message.id,
                recipient: recipient.clone(),
                recipients,
            }));
        Ok(())
    }
}

impl Work {
    async fn write<T: Transaction>(
        mut self,
        tx: &mut T,
        now: Timestamp,
    ) -> Result<Made, StoreError> {
        let reports = add(tx, &self.submissions, now).await?;
        tx.save_recipients(&self.recipients).await?;
        save_messages(tx, self.messages).await?;
        let drafts = self.drafts.into_iter().zip(reports);
        self.made.reports = drafts
            .map(|(draft, report)| MadeReport {
                kind: draft.kind,
                about: draft.about,
                report,
                recipient: draft.recipient,
                recipients: draft.recipients,
            })
            .collect();
        Ok(self.made)
    }
}
