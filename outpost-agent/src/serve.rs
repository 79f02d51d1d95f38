//! One connection of the queue manager: a request, its delivery, the reply (`src/global/deliver_request.c`).

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postfix_ipc::{
    attr::List,
    request::{DeliveryRequest, FinalReply, Recipient, RequestError, RequestReader},
};
use smtp_policy::{
    delivery::Observer,
    report::{Outcome, Status},
    request as policy,
};
use smtp_proto::EnhancedStatus;

use crate::{
    agent::Agent,
    fatal::Fatal,
    log::Severity,
    message::{Message, OpenError},
    reporter::{self, Reporter},
    watchdog::Watched,
};

/// The time that one who has nothing else to do waits for a log that is busy.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

impl Agent {
    /// Serves one connection to its end.
    ///
    /// # Errors
    /// A fault that ends a process of Postfix: the queue file can be neither opened nor locked. There is no reply then; the
    /// queue manager sees the end of the connection.
    pub(crate) fn serve(self: &Arc<Self>, stream: &mut UnixStream) -> Result<(), Fatal> {
        match self.converse(stream, &self.watchdog.watch()) {
            Ok(done) => done,
            Err(error) => {
                self.log
                    .warning(format_args!("{} socket: {error}", self.service));
                Ok(())
            }
        }
    }

    fn converse(
        self: &Arc<Self>,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Result<(), Fatal>> {
        stream.set_write_timeout(Some(self.ipc_timeout()))?;
        stream.write_all(&DeliveryRequest::greeting())?;
        let reply = match self.read(stream, watched)? {
            None => return Ok(Ok(())),
            Some(Ok(request)) => match self.handle(request, watched) {
                Ok(reply) => reply,
                Err(fatal) => return Ok(Err(fatal)),
            },
            Some(Err(error)) => {
                if let Some(source) = std::error::Error::source(&error) {
                    self.log.warning(source);
                }
                self.log.warning(error);
                FinalReply::deferred()
            }
        };
        // Whoever has asked may be gone by now, as after a reload. The marks say what is done.
        if stream.write_all(&reply.encode()).is_ok() {
            let _ = stream.read(&mut [0]);
        }
        self.log.flush(LOG_PATIENCE);
        Ok(Ok(()))
    }

    /// Reads a request, for whose begin it waits as long as it takes; `None` if the queue manager has changed its mind.
    fn read(
        &self,
        stream: &mut UnixStream,
        watched: &Watched,
    ) -> io::Result<Option<Result<DeliveryRequest, RequestError>>> {
        let mut reader = RequestReader::new(format!("{} socket", self.service));
        let mut bytes = [0; 16 * 1024];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return Ok(reader.ended().map(Err)),
                Ok(length) => {
                    watched.beat();
                    reader.push(bytes.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Err(reader.timed_out())));
                }
                Err(error) => return Err(error),
            }
            match reader.next_request() {
                Ok(None) => stream.set_read_timeout(Some(self.ipc_timeout()))?,
                Ok(Some(request)) => return Ok(Some(Ok(request))),
                Err(error) => return Ok(Some(Err(error))),
            }
        }
    }

    /// Delivers a request. One whose delivery panics, which a correct program does not do, is tried again later.
    fn handle(
        self: &Arc<Self>,
        request: DeliveryRequest,
        watched: &Watched,
    ) -> Result<FinalReply, Fatal> {
        let id = request.head.queue_id.to_string();
        // What it shares with others is behind locks that nobody leaves half done.
        let delivery = AssertUnwindSafe(|| self.deliver(request, watched));
        panic::catch_unwind(delivery).unwrap_or_else(|_| {
            self.log.record(
                Severity::Panic,
                &format!("{id}: the delivery has come to an unexpected end"),
            );
            Ok(FinalReply::deferred())
        })
    }

    fn deliver(
        self: &Arc<Self>,
        request: DeliveryRequest,
        watched: &Watched,
    ) -> Result<FinalReply, Fatal> {
        let DeliveryRequest {
            mut head,
            recipients,
        } = request;
        head.stamp(reporter::now());
        let name = match head.queue_file() {
            Ok(name) => name,
            Err(error) => {
                self.log.warning(error);
                return Ok(FinalReply::deferred());
            }
        };
        let shown = format!("{} {}", head.queue_name, head.queue_id);
        let message = match Message::open(name, &shown, &self.hashing) {
            Ok(message) => Arc::new(message),
            Err(OpenError::Gone(why)) => {
                self.log.warning(why);
                return Ok(FinalReply::deferred());
            }
            Err(error) => return Err(Fatal::new(error)),
        };
        if head.nexthop.is_empty() {
            return Err(Fatal::new("empty nexthop hostname"));
        }
        let (understood, recipients, refused) = understood(recipients);
        let asked = head.text_offset().and_then(|offset| {
            let mut request = head.to_policy(self.protocol, self.flags, understood)?;
            request.service = Some(self.service.clone());
            Ok((request, offset))
        });
        let reply = Arc::new(Mutex::new(FinalReply::done()));
        let mut reporter = Reporter {
            agent: Arc::clone(self),
            head,
            recipients: refused,
            message: Arc::clone(&message),
            reply: Arc::clone(&reply),
            pulse: watched.pulse(),
        };
        reporter.refuse();
        match asked {
            Ok((request, _)) if request.recipients.is_empty() => {}
            Ok((request, offset)) => {
                reporter.recipients = recipients;
                self.client
                    .deliver_whole(request, message.text(offset), reporter);
            }
            Err(why) => {
                self.log
                    .warning(format_args!("{}: {why}", reporter.head.queue_id));
                return Ok(FinalReply::deferred());
            }
        }
        let reply = reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.look_at(&message, &reply);
        Ok(reply)
    }

    /// Puts a queue file aside whose text cannot be read, unless somebody waits for another attempt.
    fn look_at(&self, message: &Message, reply: &FinalReply) {
        let Some(corruption) = message.corruption() else {
            return;
        };
        let name = message.name();
        for warning in corruption.warnings(&name.to_string(), name.id()) {
            self.log.warning(warning);
        }
        if reply.status == 0 {
            self.log
                .warning(format_args!("corrupted queue file: {name}"));
            if let Err(error) = message.set_corrupt() {
                self.log
                    .warning(format_args!("change the mode of {name}: {error}"));
            }
        }
    }
}

/// Takes apart who can be delivered to, with the same recipients as the queue manager named them, and who cannot.
fn understood(all: Vec<Recipient>) -> (Vec<policy::Recipient>, Vec<Recipient>, Vec<Recipient>) {
    let (mut understood, mut named, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for recipient in all {
        match recipient.to_policy() {
            Ok(good) => {
                understood.push(good);
                named.push(recipient);
            }
            Err(_) => refused.push(recipient),
        }
    }
    (understood, named, refused)
}

impl Reporter {
    /// Defers those whose addresses cannot be understood: they are no worse than others, and the fault may be here.
    fn refuse(&mut self) {
        for index in 0..self.recipients.len() {
            let Some(why) = self
                .recipients
                .get(index)
                .and_then(|named| named.to_policy().err())
            else {
                continue;
            };
            let outcome = Outcome::new(
                Status::Deferred,
                EnhancedStatus::new(4, 3, 0),
                why.to_string(),
            );
            let Ok(stand_in) = "unknown".parse::<smtp_proto::Address>() else {
                continue;
            };
            self.settled(index, &policy::Recipient::new(stand_in), &outcome);
        }
    }
}
