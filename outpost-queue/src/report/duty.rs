//! A worker's duties towards senders and postmasters.

use core::time::Duration;
use std::sync::Arc;

use super::{Context, look, make_due};
use crate::{
    model::MessageId,
    operation::Looked,
    rules::Rules,
    store::Store,
    worker::{Duty, Listener, Progress, QueueEvent},
};

/// The pause between two rounds. A report waits that long at most when it is due.
const EVERY: Duration = Duration::from_secs(5);

/// The most messages or tasks of one transaction.
const LIMIT: usize = 100;

/// The duties of a worker that makes reports and looks at tasks which nobody tries. Any number of workers may have them: a
/// report is made by one.
pub fn duties<S: Store, L: Listener>(
    store: &S,
    context: &Context,
    rules: &Rules,
    listener: &Arc<L>,
) -> [Duty; 2] {
    let all = (
        store.clone(),
        context.clone(),
        rules.clone(),
        Arc::clone(listener),
    );
    let reports = all.clone();
    [
        Duty::new("reports", EVERY, move || {
            let (store, context, rules, listener) = reports.clone();
            async move {
                let made = make_due(&store, &context, &rules, LIMIT).await?;
                for report in &made.reports {
                    listener.hear(&report.event());
                }
                for (message, why) in &made.damaged {
                    hear_damage(&*listener, *message, why);
                }
                Ok::<_, crate::store::StoreError>(progress(made.more))
            }
        }),
        Duty::new("watch", EVERY, move || {
            let (store, context, rules, listener) = all.clone();
            async move {
                let looked = look(&store, &context, &rules, LIMIT).await?;
                hear_look(&*listener, &looked);
                Ok::<_, crate::store::StoreError>(progress(looked.more))
            }
        }),
    ]
}

fn hear_damage<L: Listener>(listener: &L, message: MessageId, why: &str) {
    listener.hear(&QueueEvent::ReportDamaged { message, why });
}

fn hear_look<L: Listener>(listener: &L, looked: &Looked) {
    for seen in &looked.tasks {
        listener.hear(&QueueEvent::Looked {
            message: seen.message,
            task: seen.task,
            destination: &seen.destination,
            finding: seen.finding,
            recipients: seen.recipients,
        });
    }
}

const fn progress(more: bool) -> Progress {
    match more {
        true => Progress::More,
        false => Progress::Done,
    }
}
