//! What a worker leaves that died: tasks whose lease has run out.

use crate::model::{Hold, Task, TaskState, Timestamp};

use super::{DoubtPolicy, Rules};

/// What follows for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// Its recipients may have the message.
    pub doubtful: bool,
    /// It was set aside: an operator hears of it.
    pub poisoned: bool,
}

/// Takes a task back from a worker whose lease has run out.
pub fn take_back(task: &mut Task, rules: &Rules, now: Timestamp) -> Aftermath {
    task.deaths = task.deaths.saturating_add(1);
    let doubtful = task.doubt.take().is_some();
    let poisoned = task.deaths >= rules.deaths.max(1);
    task.state = match (poisoned, doubtful, rules.doubt) {
        (true, _, _) => TaskState::Held(Hold::Poison),
        (false, true, DoubtPolicy::Hold) => TaskState::Held(Hold::Doubt),
        (false, ..) => TaskState::Ready,
    };
    task.due = now;
    Aftermath { doubtful, poisoned }
}
