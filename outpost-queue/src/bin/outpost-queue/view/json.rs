//! The queue as JSON. Names of fields that postqueue(1) has too are the same as there.

use outpost_queue::{
    model::{Fate, Hold, Kind, QueuedRecipient, Task, TaskState, Timestamp},
    operation::{Listed, Shown, State},
};
use serde_json::{Map, Value, json};

use super::text;

/// A message of a list: one line of its own.
pub(super) fn listed(listed: &Listed, now: Timestamp) -> Value {
    let message = &listed.message;
    json!({
        "queue_id": message.id.to_string(),
        "state": text::state_word(message.state),
        "kind": match message.kind { Kind::Mail => "mail", Kind::Report => "report" },
        "sender": message.sender,
        "message_size": message.size,
        "arrival_time": seconds(message.arrived),
        "finish_time": seconds(message.finished),
        "age": now.since(message.arrived).as_secs(),
        "tasks": listed.tasks.iter().map(task).collect::<Vec<_>>(),
        "recipients": listed.recipients.iter().map(recipient).collect::<Vec<_>>(),
    })
}

fn task(task: &Task) -> Value {
    let (state, more) = match &task.state {
        TaskState::New => ("new", None),
        TaskState::Ready => ("ready", None),
        TaskState::Leased(lease) => ("leased", Some(("worker", Value::from(&*lease.worker.0)))),
        TaskState::Held(hold) => {
            let why = match hold {
                Hold::Operator => "operator",
                Hold::Doubt => "doubt",
                Hold::Poison => "poison",
            };
            ("held", Some(("why", Value::from(why))))
        }
    };
    let mut value = json!({
        "task_id": task.id.to_string(),
        "destination": task.destination.as_str(),
        "state": state,
        "due_time": seconds(task.due),
        "attempts": task.attempts,
        "in_doubt": task.doubt.is_some(),
    });
    if let (Some(fields), Some((name, more))) = (value.as_object_mut(), more) {
        fields.insert(name.to_owned(), more);
    }
    value
}

fn recipient(one: &QueuedRecipient) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("address", one.recipient.address.as_str().into());
    put("task_id", one.task.to_string().into());
    let fate = match one.fate {
        Fate::Pending => "pending",
        Fate::Sent => "sent",
        Fate::Bounced => "bounced",
        Fate::Cancelled => "cancelled",
    };
    put("fate", fate.into());
    put("may_have_copy", one.doubtful.into());
    if let Ok(Some(outcome)) = one.outcome() {
        put("code", outcome.code.to_string().into());
        let name = match one.fate {
            Fate::Pending => "delay_reason",
            _ => "reason",
        };
        put(name, outcome.text.to_string().into());
    }
    Value::Object(fields)
}

/// All about a message.
pub(super) fn shown(shown: &Shown) -> Value {
    let mut value = listed(&shown.listed, shown.now);
    if let Some(fields) = value.as_object_mut() {
        let head = text::head(&shown.text);
        fields.insert("header".to_owned(), head.into());
        let verdicts = shown.listed.recipients.iter().map(|one| {
            let verdict = one.verdict.as_deref();
            verdict
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or(Value::Null)
        });
        fields.insert("verdicts".to_owned(), verdicts.collect());
    }
    value
}

/// Numbers about the queue.
pub(super) fn state(state: &State) -> Value {
    let State { now, counts, loads } = state;
    let destinations = loads.iter().map(|load| {
        let destination = &load.destination;
        let dead = destination.dead.as_ref().filter(|dead| dead.until > *now);
        json!({
            "destination": destination.name.as_str(),
            "tasks": load.tasks,
            "running": destination.running,
            "concurrency": destination.window,
            "oldest_age": now.since(load.oldest).as_secs(),
            "rests_until": dead.map(|dead| seconds(dead.until)),
            "rests_because": dead.map(|dead| &dead.why),
        })
    });
    json!({
        "time": seconds(*now),
        "messages": counts.messages,
        "tasks": {
            "new": counts.new,
            "due": counts.due,
            "deferred": counts.deferred,
            "leased": counts.leased,
            "held": counts.held,
            "in_doubt": counts.in_doubt,
        },
        "dead_destinations": counts.dead,
        "oldest_age": match counts.oldest {
            Timestamp::NEVER => Value::Null,
            oldest => now.since(oldest).as_secs().into(),
        },
        "destinations": destinations.collect::<Vec<_>>(),
    })
}

/// Seconds since the beginning of 1970; null is never.
fn seconds(time: Timestamp) -> Value {
    match time {
        Timestamp::NEVER => Value::Null,
        time => (time.micros().div_euclid(1_000_000)).into(),
    }
}
