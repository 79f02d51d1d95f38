//! The duty to report: which worker makes which report, and what becomes of it.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Outside, Receiver, Reporter, counts_topic,
    day::{Day, SLOTS},
    document::Document,
    domains_topic, kept_until,
    letter::Letter,
    receivers,
    tally::Line,
};
use crate::{
    model::{Shared, Timestamp, WorkerName},
    operation::{Submission, Submit},
    store::{Operation, Store, StoreError, Transaction},
};

/// The most reports that are made by one call.
const BATCH: usize = 20;
/// The most things that are read at a time.
const PAGE: usize = 200;
/// The time for which a worker has a report for itself: longer than a call can take.
const CLAIM: Duration = Duration::from_secs(30 * 60);
/// The days back that are looked at.
const DAYS: i64 = 3;
/// The time for which a report is tried (RFC 8460 section 5.5).
const PATIENCE: Duration = Duration::from_secs(86_400);
/// The pause after the first failure; it doubles with each, up to the limit.
const PAUSE: Duration = Duration::from_secs(15 * 60);
const PAUSE_LIMIT: Duration = Duration::from_secs(4 * 3600);

const DONE: &str = "done";
const WAITS: &str = "waits";

/// The result of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Made {
    /// Reports that went into the queue as mail.
    pub mailed: usize,
    /// Reports that were sent over HTTPS.
    pub posted: usize,
    /// Domains that want no report.
    pub unwanted: usize,
    /// Domains whose report is tried again later, each with the reason.
    pub waiting: Vec<(String, String)>,
    /// Domains whose report was given up, since it was tried for a day.
    pub given_up: Vec<String>,
    /// True if there may be more to make at once.
    pub more: bool,
}

/// Makes reports that are due and that nobody else makes, at most twenty. To be called every minute, and again at once
/// where there is [more](Made::more). The reports go out as mail of the queue, or to web servers.
///
/// # Errors
/// Those of the store. What was claimed then is somebody's again half an hour later. What is damaged holds up nothing
/// else, and is said when everything else is done.
pub async fn make_due<S: Store, O: Outside>(
    store: &S,
    outside: &O,
    reporter: &Reporter,
    worker: &WorkerName,
) -> Result<Made, StoreError> {
    let claim = Claim {
        worker: worker.clone(),
    };
    let duties = store.run(claim).await?;
    let mut made = Made {
        more: duties.len() >= BATCH,
        ..Made::default()
    };
    let mut fault = None;
    for duty in duties {
        let making = Making {
            store,
            outside,
            reporter,
            duty: &duty,
        };
        match making.make(&mut made).await {
            Ok(()) => {}
            Err(error @ StoreError::Damaged(_)) => _ = fault.get_or_insert(error),
            Err(error) => return Err(error),
        }
    }
    fault.map_or(Ok(made), Err)
}

/// A report that a worker has to make.
#[derive(Clone, Debug)]
struct Duty {
    day: Day,
    domain: String,
    worker: WorkerName,
    /// The time of the claim.
    now: Timestamp,
}

impl Duty {
    fn topic(day: Day) -> String {
        format!("tlsrpt-duty {day}")
    }

    fn state(&self, value: &str, until: Timestamp) -> Shared {
        Shared {
            topic: Self::topic(self.day),
            key: self.domain.clone(),
            value: value.to_owned(),
            number: 0,
            until,
        }
    }

    /// The mark that a receiver has the report.
    fn mark(&self, receiver: &Receiver) -> Shared {
        let receiver = match receiver {
            Receiver::Mail(address) => format!("mailto:{address}"),
            Receiver::Web(endpoint) => endpoint.to_string(),
        };
        Shared {
            topic: format!("tlsrpt-sent {}", self.day),
            key: format!("{} {receiver}", self.domain),
            value: String::new(),
            number: 0,
            until: kept_until(self.day),
        }
    }

    fn is_over(&self) -> bool {
        let due = self.day.due(self.day.slot(&self.domain));
        due.after(PATIENCE) < self.now
    }
}

/// A report in the making.
struct Making<'a, S, O> {
    store: &'a S,
    outside: &'a O,
    reporter: &'a Reporter,
    duty: &'a Duty,
}

impl<S: Store, O: Outside> Making<'_, S, O> {
    async fn make(&self, made: &mut Made) -> Result<(), StoreError> {
        let duty = self.duty;
        if duty.is_over() {
            made.given_up.push(duty.domain.clone());
            return self.finish().await;
        }
        let name = format!("_smtp._tls.{}", duty.domain);
        let texts = match self.outside.texts(&name).await {
            Ok(texts) => texts,
            Err(why) => return self.postpone(made, format!("{name}: {why}")).await,
        };
        let receivers = receivers(texts.iter().map(Vec::as_slice));
        if receivers.is_empty() {
            made.unwanted += 1;
            return self.finish().await;
        }
        let lines = self.lines().await?;
        if lines.is_empty() {
            return self.finish().await;
        }
        let document = Document::new(self.reporter, duty.day, &duty.domain, &lines);
        let file = match document.gzip() {
            Ok(file) => Bytes::from(file),
            Err(why) => return self.postpone(made, why.to_string()).await,
        };
        let mut trouble = Vec::new();
        for receiver in &receivers {
            let sent = self.send(receiver, &document, &file, made).await?;
            trouble.extend(sent.err());
        }
        match trouble.is_empty() {
            true => self.finish().await,
            false => self.postpone(made, trouble.join("; ")).await,
        }
    }

    /// The counts of the domain.
    async fn lines(&self) -> Result<BTreeMap<Line, i64>, StoreError> {
        let topic = counts_topic(self.duty.day, &self.duty.domain);
        let things = self.store.run(ReadAll { topic }).await?;
        let mut lines: BTreeMap<Line, i64> = BTreeMap::new();
        for thing in &things {
            let line = serde_json::from_str(&thing.value).map_err(|why| {
                let (topic, key) = (&thing.topic, &thing.key);
                StoreError::Damaged(format!("shared {topic} \"{key}\", value: {why}"))
            })?;
            let count = lines.entry(line).or_default();
            *count = count.saturating_add(thing.number.max(0));
        }
        Ok(lines)
    }

    /// Sends the report to somebody who has not got it. The inner error is why that has to be tried again.
    async fn send(
        &self,
        receiver: &Receiver,
        document: &Document,
        file: &Bytes,
        made: &mut Made,
    ) -> Result<Result<(), String>, StoreError> {
        let duty = self.duty;
        let mark = duty.mark(receiver);
        match receiver {
            Receiver::Mail(to) => {
                let letter = Letter {
                    reporter: self.reporter,
                    day: duty.day,
                    domain: &duty.domain,
                    document,
                    file,
                    now: duty.now,
                };
                let submission = match letter.submission(to) {
                    Ok(submission) => submission,
                    Err(why) => return Ok(Err(why)),
                };
                let sent = self.store.run(HandIn { mark, submission }).await?;
                made.mailed += usize::from(sent);
            }
            Receiver::Web(endpoint) => {
                if self.store.run(Known(mark.clone())).await? {
                    return Ok(Ok(()));
                }
                match self.outside.post(endpoint, file.clone()).await {
                    Ok(200..=299) => {}
                    Ok(status) => return Ok(Err(format!("{endpoint} answers {status}"))),
                    Err(why) => return Ok(Err(format!("{endpoint}: {why}"))),
                }
                self.store.run(Mark(mark)).await?;
                made.posted += 1;
            }
        }
        Ok(Ok(()))
    }

    async fn finish(&self) -> Result<(), StoreError> {
        self.store.run(Finish(self.duty.clone())).await
    }

    async fn postpone(&self, made: &mut Made, why: String) -> Result<(), StoreError> {
        made.waiting.push((self.duty.domain.clone(), why));
        self.store.run(Postpone(self.duty.clone())).await
    }
}

/// Claims reports that are due.
#[derive(Debug)]
struct Claim {
    worker: WorkerName,
}

impl Operation for Claim {
    type Output = Vec<Duty>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Duty>, StoreError> {
        let now = tx.now().await?;
        let mut duties = Vec::new();
        for age in (1..=DAYS).rev() {
            let day = Day::at(now).before(age);
            for slot in (0..SLOTS).filter(|slot| day.due(*slot) <= now) {
                self.claim(tx, day, slot, now, &mut duties).await?;
            }
        }
        Ok(duties)
    }
}

impl Claim {
    async fn claim<T: Transaction>(
        &self,
        tx: &mut T,
        day: Day,
        slot: u32,
        now: Timestamp,
        duties: &mut Vec<Duty>,
    ) -> Result<(), StoreError> {
        let topic = domains_topic(day, slot);
        let mut after = String::new();
        while duties.len() < BATCH {
            let page = tx.scan_shared(&topic, &after, PAGE, now).await?;
            let duty = |domain: &str| Duty {
                day,
                domain: domain.to_owned(),
                worker: self.worker.clone(),
                now,
            };
            let mut rest = page.as_slice();
            while duties.len() < BATCH && !rest.is_empty() {
                let (some, more) = rest.split_at(rest.len().min(BATCH - duties.len()));
                let claims = some.iter();
                let claims: Vec<Shared> = claims
                    .map(|one| duty(&one.key).state(&self.worker.0, now.after(CLAIM)))
                    .collect();
                let got = tx.claim_shared(&claims, now).await?;
                duties.extend(got.iter().map(|domain| duty(domain)));
                rest = more;
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => after.clone_from(&last.key),
                _ => break,
            }
        }
        Ok(())
    }
}

/// Reads a topic.
#[derive(Debug)]
struct ReadAll {
    topic: String,
}

impl Operation for ReadAll {
    type Output = Vec<Shared>;

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Shared>, StoreError> {
        let now = tx.now().await?;
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = tx.scan_shared(&self.topic, &after, PAGE, now).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            match all.last() {
                Some(last) if !is_last => after.clone_from(&last.key),
                _ => return Ok(all),
            }
        }
    }
}

/// Hands in a report as mail, unless that was done. Returns whether it was done now.
#[derive(Debug)]
struct HandIn {
    mark: Shared,
    submission: Submission,
}

impl Operation for HandIn {
    type Output = bool;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let now = tx.now().await?;
        let marks = core::slice::from_ref(&self.mark);
        if tx.claim_shared(marks, now).await?.is_empty() {
            return Ok(false);
        }
        Submit::new(vec![self.submission.clone()]).run(tx).await?;
        Ok(true)
    }
}

/// Returns whether a mark is there.
#[derive(Debug)]
struct Known(Shared);

impl Operation for Known {
    type Output = bool;

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let now = tx.now().await?;
        let keys = core::slice::from_ref(&self.0.key);
        Ok(!tx.shared(&self.0.topic, keys, now).await?.is_empty())
    }
}

/// Puts a mark.
#[derive(Debug)]
struct Mark(Shared);

impl Operation for Mark {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.put_shared(core::slice::from_ref(&self.0)).await
    }
}

/// Ends a duty: everybody has the report, nobody wants it, or it is given up. The counts go away.
#[derive(Debug)]
struct Finish(Duty);

impl Operation for Finish {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let Duty { day, domain, .. } = &self.0;
        let done = self.0.state(DONE, kept_until(*day));
        tx.put_shared(&[done]).await?;
        let topic = counts_topic(*day, domain);
        let things = ReadAll {
            topic: topic.clone(),
        };
        let keys: Vec<String> = things
            .run(tx)
            .await?
            .into_iter()
            .map(|one| one.key)
            .collect();
        for keys in keys.chunks(PAGE) {
            tx.delete_shared(&topic, keys).await?;
        }
        // Workers of another build may have it in another step.
        for slot in 0..SLOTS {
            let keys = core::slice::from_ref(domain);
            tx.delete_shared(&domains_topic(*day, slot), keys).await?;
        }
        Ok(())
    }
}

/// Puts a duty off, unless it is somebody else's by now.
#[derive(Debug)]
struct Postpone(Duty);

impl Operation for Postpone {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let Duty { day, domain, .. } = &self.0;
        let now = tx.now().await?;
        let keys = core::slice::from_ref(domain);
        let there = tx.shared(&Duty::topic(*day), keys, now).await?;
        if there
            .first()
            .is_none_or(|one| one.value != *self.0.worker.0)
        {
            return Ok(());
        }
        let topic = format!("tlsrpt-tries {day}");
        let attempt = Shared {
            topic: topic.clone(),
            key: domain.clone(),
            value: String::new(),
            number: 1,
            until: kept_until(*day),
        };
        tx.add_shared(&[attempt]).await?;
        let tries = tx.shared(&topic, keys, now).await?;
        let before = tries.first().map_or(0, |tries| tries.number - 1);
        let doublings = u32::try_from(before.clamp(0, 10)).unwrap_or(0);
        let pause = PAUSE.saturating_mul(1 << doublings).min(PAUSE_LIMIT);
        let waits = self.0.state(WAITS, now.after(pause));
        tx.put_shared(&[waits]).await
    }
}
