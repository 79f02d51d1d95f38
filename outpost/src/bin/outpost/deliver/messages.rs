//! The jobs of a run whose messages are read as they are needed.

use std::{collections::VecDeque, sync::Arc};

use outpost::Message;
use smtp_policy::request::Recipient;

use crate::{
    cli::Doubt,
    envelope::Envelope,
    job::{Job, Origin},
    journal::{Journal, Standing},
    output::complain,
    request::Fault,
    source::{Piece, Sources},
    texts,
};

/// Messages with their envelopes, less those that a journal says are done with.
#[derive(Debug)]
pub(crate) struct Messages {
    sources: Sources,
    envelope: Envelope,
    journal: Option<Arc<Journal>>,
    doubt: Doubt,
    /// The jobs of the message that was read last.
    ready: VecDeque<Job>,
    /// The number of jobs so far.
    number: usize,
    counts: Counts,
}

/// Counts of the messages and recipients so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that were read, or should have been.
    pub(crate) messages: u64,
    /// Their bytes, as far as they have somebody to go to.
    pub(crate) bytes: u64,
    /// Recipients that an earlier run has sent or bounced.
    pub(crate) done: u64,
    /// Recipients that are in doubt and are not sent to.
    pub(crate) held: u64,
}

impl Messages {
    /// Nothing is read yet.
    pub(crate) fn new(
        sources: Sources,
        envelope: Envelope,
        journal: Option<Arc<Journal>>,
        doubt: Doubt,
    ) -> Self {
        Self {
            sources,
            envelope,
            journal,
            doubt,
            ready: VecDeque::new(),
            number: 0,
            counts: Counts::default(),
        }
    }

    /// Returns the counts so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The number of messages in all, where it is known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.sources.total()
    }

    /// The jobs of a message. There are none if the journal says that all is done.
    fn jobs(&mut self, piece: Piece) -> Result<Vec<Job>, Fault> {
        let Piece { name, key, message } = piece;
        let message = message?;
        let fault = |error: anyhow::Error| Fault::new(&name, format_args!("{error:#}"));
        if message.facts().length == 0 {
            complain(format_args!("{name}: warning: the message is empty"));
        }
        let origin = self.origin(&name, key, &message).map_err(fault)?;
        let length = message.facts().length;
        let number = self.number + 1;
        let jobs = self.envelope.jobs(message, number, Some(&origin));
        let mut jobs = jobs.map_err(fault)?;
        for job in &mut jobs {
            let recipients = std::mem::take(&mut job.request.recipients);
            let left = recipients.into_iter().filter(|to| self.is_due(&origin, to));
            job.request.recipients = left.collect();
        }
        jobs.retain(|job| !job.request.recipients.is_empty());
        if !jobs.is_empty() {
            self.counts.bytes += length;
        }
        Ok(jobs)
    }

    fn origin(&self, name: &str, key: String, message: &Message) -> anyhow::Result<Arc<Origin>> {
        let mut origin = Origin {
            name: name.to_owned(),
            key,
            digest: String::new(),
        };
        if let Some(journal) = &self.journal {
            origin.digest = texts::digest(message)?;
            journal.check(&origin)?;
        }
        Ok(Arc::new(origin))
    }

    /// Returns whether a recipient is to get the message in this run.
    fn is_due(&mut self, origin: &Origin, recipient: &Recipient) -> bool {
        let journal = self.journal.as_ref();
        let standing = journal.and_then(|journal| journal.standing(origin, recipient));
        match (standing, self.doubt) {
            (None | Some(Standing::Open), _) | (Some(Standing::InDoubt), Doubt::Retry) => true,
            (Some(Standing::Settled), _) => {
                self.counts.done += 1;
                false
            }
            (Some(Standing::InDoubt), Doubt::Hold) => {
                self.counts.held += 1;
                let (name, to) = (&origin.name, recipient.address.as_str());
                complain(format_args!(
                    "{name}: <{to}>: in doubt since an earlier run, and not sent again \
                     (--doubt retry sends it)"
                ));
                false
            }
        }
    }
}

impl Iterator for Messages {
    type Item = Result<Job, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(job) = self.ready.pop_front() {
                self.number += 1;
                return Some(Ok(job));
            }
            let piece = self.sources.next()?;
            self.counts.messages += 1;
            match self.jobs(piece) {
                Ok(jobs) => self.ready = jobs.into(),
                Err(fault) => {
                    // The report may be long in coming, or have no place for it.
                    complain(&fault);
                    self.number += 1;
                    return Some(Err(fault));
                }
            }
        }
    }
}
