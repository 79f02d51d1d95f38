//! Mail that another delivery agent is to deliver (`best_mx_transport`): it gets each recipient as from the queue manager, and
//! reports and marks itself (`src/global/deliver_pass.c`).

use postfix_ipc::{
    announce::{Announcement, Service},
    attr::Value,
    request::{DeliveryRequest, FinalReply, Recipient},
};
use smtp_policy::{report::Outcome, request as policy, settings::BestMx};

use crate::{
    reporter::Reporter,
    talk::{Conversation, TalkError, waiting},
};

/// The reason of a recipient that another agent has taken, and nobody knows what became of it.
const UNKNOWN: &str = "unknown mail transport error";

/// A recipient that could not be passed on.
enum PassError {
    /// Nobody has taken it.
    Unavailable(TalkError),
    /// Somebody has, and does not say what became of it.
    Unknown(TalkError),
}

impl Reporter {
    /// Passes a recipient to another transport. The verdict is the one that holds if there is nobody.
    pub(crate) fn pass(
        &self,
        named: &Recipient,
        recipient: &policy::Recipient,
        mut outcome: Outcome,
        to: &BestMx,
    ) {
        let (agent, id) = (&self.agent, &self.head.queue_id);
        let transport = &to.transport;
        if to.nexthop.is_none() && agent.service == transport.as_str() {
            // It would come to the same end there, and hold a process on its way.
            agent.log.warning(format_args!(
                "{id}: best_mx_transport leads from {transport} back to {transport}"
            ));
            return self.report(named, recipient, outcome);
        }
        let address = agent.settings.log.address(&recipient.address);
        agent.log.info(format_args!(
            "{id}: passing <{address}> to transport={transport}"
        ));
        let error = match waiting(|| self.hand_over(named, to)) {
            Ok(FinalReply { status: 0, .. }) => return,
            // It has been reported. What is wrong with the other destination is not for this one's queue.
            Ok(_) => return self.defer(&outcome),
            Err(PassError::Unavailable(error)) => error,
            Err(PassError::Unknown(error)) => {
                outcome.text = UNKNOWN.into();
                error
            }
        };
        if matches!(error, TalkError::List(_)) {
            let path = Service::Delivery.path(transport);
            agent.log.warning(&error);
            agent
                .log
                .warning(format_args!("{path} socket: malformed response"));
        } else {
            agent.log.warning(error);
        }
        self.report(named, recipient, outcome);
    }

    /// Plays the queue manager. Returns what became of the recipient.
    fn hand_over(&self, named: &Recipient, to: &BestMx) -> Result<FinalReply, PassError> {
        let limit = self.agent.ipc_timeout();
        let peer = format!("{} socket", Service::Delivery.path(&to.transport));
        let open = || {
            let mut other = Conversation::open(Service::Delivery, &to.transport, limit)?;
            let announced: Announcement = other.hear()?;
            announced
                .check(Service::Delivery, &peer)
                .map_err(TalkError::List)?;
            let nexthop = to.nexthop.as_deref().map(Value::masked);
            let nexthop = nexthop.unwrap_or_else(|| self.head.nexthop.clone());
            let request = DeliveryRequest::passed(&self.head, named.clone(), nexthop);
            other.say(&request.encode())?;
            Ok(other)
        };
        let mut other = open().map_err(PassError::Unavailable)?;
        other.hear().map_err(PassError::Unknown)
    }
}
