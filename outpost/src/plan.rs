//! From one envelope to the deliveries that it takes: one for each next hop. No I/O.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smtp_policy::{
    Protocol,
    delivery::Observer,
    event::Note,
    report::{Outcome, Report, Status},
    request::{Nexthop, RcptIndex, Recipient, Request},
};
use smtp_proto::EnhancedStatus;

use crate::{Envelope, message::Facts};

/// The way of messages out of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    /// The next hop for all recipients; none: the domain of each.
    pub(crate) nexthop: Option<Nexthop>,
    /// Addresses and headers beyond ASCII may go out (`smtputf8_enable`).
    pub(crate) smtputf8: bool,
}

/// A delivery to one next hop.
#[derive(Debug)]
pub(crate) struct Part<O> {
    pub(crate) request: Request,
    pub(crate) observer: PartObserver<O>,
    /// The positions of its recipients in the envelope.
    pub(crate) places: Arc<[RcptIndex]>,
}

/// The books of one envelope while its parts are delivered.
#[derive(Debug)]
pub(crate) struct Books(Vec<Option<(Recipient, Outcome)>>);

impl Plan {
    /// The deliveries that an envelope takes, in the order of their first recipients, and its books.
    pub(crate) fn parts<O: Observer>(
        &self,
        envelope: Envelope,
        facts: &Facts,
        observer: O,
    ) -> (Vec<Part<O>>, Books) {
        let mut envelope = envelope;
        let recipients = std::mem::take(&mut envelope.recipients);
        let mut books = Books(recipients.iter().map(|_| None).collect());
        let observer = counted(observer);
        let watch = Arc::new(Mutex::new(Watch {
            observer,
            doubt: BTreeMap::new(),
        }));
        let mut groups: Vec<(Nexthop, Vec<RcptIndex>, Vec<Recipient>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (place, recipient) in recipients.into_iter().enumerate() {
            match self.nexthop(&recipient) {
                Ok(hop) => {
                    let number = *known.entry(hop.to_lowercase()).or_insert(groups.len());
                    match groups.get_mut(number) {
                        Some((_, places, members)) => {
                            places.push(place);
                            members.push(recipient);
                        }
                        None => groups.push((hop, vec![place], vec![recipient])),
                    }
                }
                Err(outcome) => {
                    lock(&watch).observer.settled(place, &recipient, &outcome);
                    books.settle(place, recipient, *outcome);
                }
            }
        }
        let part = |(number, (nexthop, places, recipients))| {
            let part = Envelope {
                recipients,
                ..envelope.clone()
            };
            let mut request = part.request(self.protocol, nexthop, facts);
            request.smtputf8 &= self.smtputf8;
            let places: Arc<[RcptIndex]> = Vec::into(places);
            let observer = PartObserver {
                watch: Arc::clone(&watch),
                number,
                places: Arc::clone(&places),
            };
            Part {
                request,
                observer,
                places,
            }
        };
        (groups.into_iter().enumerate().map(part).collect(), books)
    }

    /// The next hop of a recipient, or the verdict on one that has none.
    fn nexthop(&self, recipient: &Recipient) -> Result<Nexthop, Box<Outcome>> {
        if let Some(nexthop) = &self.nexthop {
            return Ok(nexthop.clone());
        }
        let domain = recipient
            .address
            .domain()
            .filter(|domain| !domain.is_empty());
        let why = match domain.map(Nexthop::parse) {
            Some(Ok(nexthop)) => return Ok(nexthop),
            Some(Err(why)) => why.to_string(),
            None => "the address has no domain to deliver to".to_owned(),
        };
        let code = EnhancedStatus::new(5, 1, 3);
        Err(Box::new(Outcome::new(Status::Bounced, code, why)))
    }
}

impl Books {
    /// Notes down what became of a part.
    pub(crate) fn enter(&mut self, places: &[RcptIndex], report: Report) {
        for (place, (recipient, outcome)) in places.iter().zip(report.recipients) {
            self.settle(*place, recipient, outcome);
        }
    }

    fn settle(&mut self, place: RcptIndex, recipient: Recipient, outcome: Outcome) {
        if let Some(line) = self.0.get_mut(place) {
            *line = Some((recipient, outcome));
        }
    }

    /// The report, in the order of the envelope.
    pub(crate) fn close(self) -> Report {
        Report::new(self.0.into_iter().flatten().collect())
    }
}

/// The caller's observer, and whoever counts.
#[cfg(feature = "metrics")]
type Counted<O> = crate::metrics::Metered<O>;
#[cfg(not(feature = "metrics"))]
type Counted<O> = O;

#[cfg(feature = "metrics")]
const fn counted<O>(observer: O) -> Counted<O> {
    crate::metrics::Metered(observer)
}

#[cfg(not(feature = "metrics"))]
const fn counted<O>(observer: O) -> Counted<O> {
    observer
}

/// The caller's observer, which all parts share.
#[derive(Debug)]
struct Watch<O> {
    observer: Counted<O>,
    /// The recipients in doubt, by part.
    doubt: BTreeMap<usize, Vec<RcptIndex>>,
}

/// The observer of one part. It tells the caller's of recipients by their place in the envelope.
#[derive(Debug)]
pub(crate) struct PartObserver<O> {
    watch: Arc<Mutex<Watch<O>>>,
    number: usize,
    places: Arc<[RcptIndex]>,
}

/// An observer that has panicked is asked again: it may be one that counts.
fn lock<O>(watch: &Mutex<Watch<O>>) -> MutexGuard<'_, Watch<O>> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O: Observer> Observer for PartObserver<O> {
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        if let Some(place) = self.places.get(index) {
            lock(&self.watch)
                .observer
                .settled(*place, recipient, outcome);
        }
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        let places = recipients
            .iter()
            .filter_map(|index| self.places.get(*index).copied());
        let mut watch = lock(&self.watch);
        watch.doubt.insert(self.number, places.collect());
        let mut everybody: Vec<_> = watch.doubt.values().flatten().copied().collect();
        everybody.sort_unstable();
        watch.observer.in_doubt(&everybody);
    }

    fn note(&mut self, note: &Note) {
        lock(&self.watch).observer.note(note);
    }

    fn progress(&mut self, text_bytes: u64) {
        lock(&self.watch).observer.progress(text_bytes);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn plan(nexthop: Option<&str>) -> Plan {
        Plan {
            protocol: Protocol::Smtp,
            nexthop: nexthop.map(|hop| hop.parse().unwrap()),
            smtputf8: true,
        }
    }

    fn parts(nexthop: Option<&str>, to: &[&str]) -> (Vec<Part<()>>, Books) {
        let envelope = Envelope::new("me@example.org", to).unwrap();
        plan(nexthop).parts(envelope, &Facts::default(), ())
    }

    #[test]
    fn recipients_are_grouped_by_domain_in_the_order_given() {
        let (parts, _) = parts(None, &["a@one.example", "b@two.example", "c@ONE.example"]);
        let groups: Vec<_> = parts
            .iter()
            .map(|part| (part.request.nexthop.as_str(), part.places.to_vec()))
            .collect();
        assert_eq!(
            groups,
            [("one.example", vec![0, 2]), ("two.example", vec![1])]
        );
    }

    #[test]
    fn a_next_hop_takes_all_recipients() {
        let (parts, _) = parts(Some("[relay.example]"), &["a@one.example", "b@two.example"]);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].request.nexthop, "[relay.example]");
        assert_eq!(parts[0].request.recipients.len(), 2);
    }

    #[test]
    fn the_report_has_the_order_of_the_envelope() {
        let (parts, mut books) = parts(None, &["a@one.example", "b@two.example", "c@one.example"]);
        for part in parts.into_iter().rev() {
            let text = part.request.nexthop.as_str().to_owned();
            let outcome = Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), text);
            let settled = |to: Recipient| (to, outcome.clone());
            let recipients = part.request.recipients.into_iter().map(settled).collect();
            books.enter(&part.places, Report::new(recipients));
        }
        let report = books.close();
        let lines: Vec<_> = report
            .recipients
            .iter()
            .map(|(to, outcome)| (to.address.as_str(), outcome.text.to_string()))
            .collect();
        let expected = [
            ("a@one.example", "one.example"),
            ("b@two.example", "two.example"),
            ("c@one.example", "one.example"),
        ];
        assert_eq!(lines, expected.map(|(to, text)| (to, text.to_owned())));
    }

    #[test]
    fn a_recipient_without_a_domain_bounces_unless_there_is_a_next_hop() {
        let to = || vec![Recipient::new("joe".parse().unwrap())];
        let envelope = Envelope::from_parts("me@example.org".parse().unwrap(), to());
        let (parts, books) = plan(None).parts(envelope, &Facts::default(), ());
        assert!(parts.is_empty());
        let report = books.close();
        assert_eq!(
            report.recipients[0].1.to_string(),
            "relay=none, delay=0, delays=0/0/0/0, \
            dsn=5.1.3, status=bounced (the address has no domain to deliver to)"
        );
        let envelope = Envelope::from_parts("me@example.org".parse().unwrap(), to());
        let (parts, _) = plan(Some("unix:/run/lmtp")).parts(envelope, &Facts::default(), ());
        assert_eq!(parts[0].request.recipients.len(), 1);
    }

    /// Remembers what it was told.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<Vec<RcptIndex>>>>);

    impl Observer for Told {
        fn in_doubt(&mut self, recipients: &[RcptIndex]) {
            self.0.lock().unwrap().push(recipients.to_vec());
        }
    }

    #[test]
    fn doubt_is_told_of_all_parts_together() {
        let to = ["a@one.example", "b@two.example", "c@one.example"];
        let envelope = Envelope::new("", to).unwrap();
        let told = Told::default();
        let (mut parts, _) = plan(None).parts(envelope, &Facts::default(), told.clone());
        parts[0].observer.in_doubt(&[0, 1]);
        parts[1].observer.in_doubt(&[0]);
        parts[0].observer.in_doubt(&[]);
        assert_eq!(
            *told.0.lock().unwrap(),
            [vec![0, 2], vec![0, 1, 2], vec![1]]
        );
    }
}
