//! The way of a verdict: it is reported to Postfix's other processes, logged, and marked in the queue file, in this order
//! (`src/global/sent.c`, `bounce.c`, `defer.c`, `verify.c`).

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use postfix_ipc::{
    announce::{CleanupAnnouncement, Service},
    attr::Value,
    report::{
        CleanupFlags, CleanupReply, Failed, Filing, FlushAdd, FlushStatus, Report, StatusRecord,
        StatusReply, Submission, VerifyUpdate,
    },
    request::{FinalReply, Recipient, RequestHead, Stamp},
};
use smtp_policy::{
    delivery::Observer,
    event::{Event, Level, Note},
    report::{Notice, Outcome, Status},
    request::{self as policy, RcptIndex},
};

use crate::{
    agent::Agent,
    fatal::words,
    message::Message,
    talk::{self, Conversation, TalkError, waiting},
    watchdog::Pulse,
};

/// The books of one request.
pub(crate) struct Reporter {
    pub(crate) agent: Arc<Agent>,
    pub(crate) head: RequestHead,
    /// As the queue manager named them, in the order of the request that is delivered.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) message: Arc<Message>,
    pub(crate) reply: Arc<Mutex<FinalReply>>,
    /// Of the request, whose progress this is.
    pub(crate) pulse: Arc<Pulse>,
}

/// The word for a probe whose result is not kept (`address_verify_negative_cache = no`).
const NOT_CACHED: &str = "undeliverable-but-not-cached";

/// Mail that is made here (`CLEANUP_FLAG_MASK_INTERNAL`).
const INTERNAL: u32 = 32;

impl Observer for Reporter {
    fn settled(&mut self, index: RcptIndex, recipient: &policy::Recipient, outcome: &Outcome) {
        self.pulse.beat();
        let mut outcome = outcome.clone();
        outcome.times = self.head.stats.times(outcome.times);
        let Some(named) = self.recipients.get(index) else {
            return self.defer(&outcome);
        };
        match outcome.pass_to.take() {
            Some(to) => self.pass(named, recipient, outcome, &to),
            None => self.report(named, recipient, outcome),
        }
    }

    fn progress(&mut self, _text_bytes: u64) {
        self.pulse.beat();
    }

    fn note(&mut self, note: &Note) {
        self.pulse.beat();
        match (&note.event, note.level()) {
            (Event::PostmasterNotice { notice }, _) => {
                if let Err(error) = waiting(|| self.notify(notice)) {
                    let id = &self.head.queue_id;
                    self.agent.log.warning(format_args!(
                        "{id}: postmaster notification failed: {error}"
                    ));
                }
            }
            (_, Level::Trace) => {}
            // They tell more than smtp(8), whose lines these are to be.
            (
                Event::KeptConnectionOver { .. }
                | Event::KeptConnectionEnded { .. }
                | Event::UnaskedReplies { .. }
                | Event::UnansweredLogin { .. },
                _,
            ) => {}
            (_, Level::Warning) => self.agent.log.warning(note),
            _ => self.agent.log.info(note),
        }
    }
}

impl Reporter {
    /// Reports, logs and marks a verdict. One that cannot be reported becomes another.
    pub(crate) fn report(
        &self,
        named: &Recipient,
        recipient: &policy::Recipient,
        mut outcome: Outcome,
    ) {
        let filing = Filing::new(self.head.flags, named, &outcome);
        if !self.file(&filing, named, &mut outcome) {
            let (bounce, trace) = (
                self.agent.name_of(Service::Bounce),
                self.agent.name_of(Service::Trace),
            );
            let id = self.head.queue_id.to_string();
            return match filing.failed.verdict(&id, &outcome, bounce, trace) {
                Some(verdict) => self.report(named, recipient, verdict),
                None => self.defer(&outcome),
            };
        }
        let line = self.agent.settings.log.line(recipient, &outcome);
        self.agent
            .log
            .info(format_args!("{}: {line}", self.head.queue_id));
        if filing.defer {
            self.defer(&outcome);
        }
        if filing.flush {
            self.flush(named);
        }
        if filing.mark {
            self.mark(named, &outcome);
        }
    }

    /// Tells whoever is to be told. False if somebody could not be, for which the verdict cannot stand.
    fn file(&self, filing: &Filing, named: &Recipient, outcome: &mut Outcome) -> bool {
        for report in &filing.reports {
            let (service, told) = match report {
                Report::Verify
                    if outcome.status != Status::Sent && !self.agent.keeps_negative_probes() =>
                {
                    outcome.word = NOT_CACHED;
                    continue;
                }
                Report::Verify => (Service::Verify, self.verify(named, outcome)),
                Report::Record(book) => {
                    let record = StatusRecord::new(*book, &self.head, named, outcome);
                    (book.service(), self.tell(book.service(), &record))
                }
            };
            self.pulse.beat();
            let told = told.unwrap_or_else(|error| {
                self.agent.log.warning(error);
                false
            });
            if told {
                continue;
            }
            if filing.failed != Failed::Replaced {
                let name = self.agent.name_of(service);
                self.agent.log.warning(format_args!(
                    "{}: {name} service failure",
                    self.head.queue_id
                ));
            }
            if filing.failed != Failed::Warned {
                return false;
            }
        }
        true
    }

    fn verify(&self, named: &Recipient, outcome: &Outcome) -> Result<bool, TalkError> {
        for update in VerifyUpdate::of(named, outcome) {
            if !self.tell(Service::Verify, &update)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells a service something; whether it took it.
    fn tell(
        &self,
        service: Service,
        question: &impl postfix_ipc::attr::List,
    ) -> Result<bool, TalkError> {
        let (name, limit) = (self.agent.name_of(service), self.agent.ipc_timeout());
        let answer = waiting(|| talk::ask::<StatusReply>(service, name, limit, question));
        answer.map(StatusReply::is_done)
    }

    /// Tells flush(8) that the message waits for the domain of a recipient.
    fn flush(&self, named: &Recipient) {
        let Some(address) = named.address.to_str() else {
            return;
        };
        let Some((_, site)) = address.rsplit_once('@') else {
            return;
        };
        let (agent, id) = (&self.agent, &self.head.queue_id);
        match agent.flush_domains.contains(site) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return agent
                    .log
                    .warning(format_args!("fast_flush_domains: {error}"));
            }
        }
        let add = FlushAdd {
            site: Value::masked(site),
            queue_id: id.clone(),
        };
        let name = agent.name_of(Service::Flush);
        let asked =
            waiting(|| talk::ask::<StatusReply>(Service::Flush, name, agent.ipc_timeout(), &add));
        let status = asked.map(FlushStatus::from).unwrap_or_else(|error| {
            agent.log.warning(error);
            FlushStatus::Failed
        });
        if status == FlushStatus::Failed {
            agent
                .log
                .warning(format_args!("{id}: {name} service failure"));
        }
    }

    fn mark(&self, named: &Recipient, outcome: &Outcome) {
        let marked = match named.mark() {
            Ok(Some(mark)) => self.message.mark(mark).map_err(|error| words(&error)),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = marked {
            self.agent
                .log
                .error(format_args!("update {}: {why}", self.message.name()));
            self.defer(outcome);
        }
    }

    /// Mails what went wrong in a session to the postmaster.
    fn notify(&self, notice: &Notice) -> Result<(), TalkError> {
        let agent = &self.agent;
        let name = agent.name_of(Service::Cleanup);
        let mut cleanup = Conversation::open(Service::Cleanup, name, agent.ipc_timeout())?;
        let CleanupAnnouncement { queue_id } = cleanup.hear()?;
        let date = agent.log.mail_date();
        let received = format!(
            "Received: by {} ({})\n\tid {queue_id}; {date}\n",
            agent.host_name(),
            notice.mail_name
        );
        let submission = Submission {
            flags: CleanupFlags { bits: INTERNAL },
            arrival: now(),
            sender: Value::masked(&notice.sender),
            recipient: Value::masked(&notice.recipient),
        };
        cleanup.say(&submission.encode(&(received + &notice.message(&date))))?;
        let CleanupReply { status, reason } = cleanup.hear()?;
        if status != 0 {
            agent
                .log
                .warning(format_args!("postmaster notification failed: {reason}"));
        }
        Ok(())
    }

    /// Notes that a recipient is to be tried again, and what that says of the destination.
    pub(crate) fn defer(&self, outcome: &Outcome) {
        let mut reply = self.reply.lock().unwrap_or_else(PoisonError::into_inner);
        reply.status = -1;
        *reply = mem::take(&mut *reply).throttled(outcome);
    }
}

/// The present time.
pub(crate) fn now() -> Stamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Stamp::at(since.unwrap_or_default())
}
