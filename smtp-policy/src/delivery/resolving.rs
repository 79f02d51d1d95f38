//! The phase in which a destination is turned into addresses
//! (`src/smtp/smtp_addr.c`; the work is done in [`route`](crate::route)).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    choosing::{Choosing, found_destination, open_site},
    context::Context,
    hosts::{Place, Site},
    phase::{Next, Phase},
};
use crate::{
    Protocol,
    dns::{Answer, Failure, names::is_valid_address},
    event::Event,
    report::{Scope, trouble::Reason},
    route::{DnsSupport, InetDestination, QuestionId, Resolution, Resolved, RouteNote},
};

/// The port for which mail loops are looked for: other ports are private
/// arrangements.
const SMTP_PORT: u16 = 25;

/// A destination whose addresses are looked for.
#[derive(Debug)]
pub(super) struct Resolving {
    inet: InetDestination,
    resolution: Resolution,
    /// The questions that are out, by their tickets.
    open: BTreeMap<u32, QuestionId>,
}

impl Resolving {
    /// Begins to look for the addresses of a destination. An address as such is known at
    /// once.
    pub(super) fn begin(cx: &mut Context, inet: InetDestination) -> Phase {
        let seed = cx.seed.wrapping_add(cx.hosts.begun as u64);
        let mut resolution = Resolution::new(&inet, Arc::clone(&cx.settings.route), seed);
        if let Some(resolved) = resolution.take() {
            end(cx, &inet, resolved);
            return Phase::Choosing(Choosing);
        }
        Phase::Resolving(Box::new(Self {
            inet,
            resolution,
            open: BTreeMap::new(),
        }))
    }

    /// The destination, as it is written.
    #[cfg(test)]
    pub(super) fn destination(&self) -> &str {
        &self.inet.text
    }

    /// Returns whether this is the ticket of a question that is out.
    pub(super) fn asked(&self, serial: u32) -> bool {
        self.open.contains_key(&serial)
    }

    /// The answer to one of the questions.
    pub(super) fn resolved(&mut self, serial: u32, answer: Result<Answer, Failure>) {
        if let Some(id) = self.open.remove(&serial) {
            self.resolution.answer(id, answer);
        }
    }

    /// Asks what is to be asked, all at once, until the addresses are known.
    pub(super) fn poll(mut self: Box<Self>, cx: &mut Context) -> Next {
        if let Some(resolved) = self.resolution.take() {
            end(cx, &self.inet, resolved);
            return Next::Go(Phase::Choosing(Choosing));
        }
        let questions = self.resolution.questions();
        if questions.is_empty() {
            return Next::Await(self.into());
        }
        for (id, query) in questions {
            self.open.insert(cx.resolve(query), id);
        }
        Next::Go(self.into())
    }
}

/// The addresses of a destination are known, or that there are none.
fn end(cx: &mut Context, inet: &InetDestination, resolved: Resolved) {
    for note in resolved.notes {
        cx.note(match note {
            RouteNote::Info(text) => Event::Routed { text: text.into() },
            RouteNote::Warning(text) => Event::RouteWarning { text: text.into() },
        });
    }
    let exchange = resolved.exchange;
    // A mail exchanger does not try the backups behind itself.
    cx.hosts.final_nexthop |= resolved.i_am_mx;
    match resolved.result {
        Err(failure) => {
            // Another relay would only make a loop longer.
            cx.hosts.final_nexthop |= failure.is_loop();
            let reason = Reason::local(failure.status, Scope::Site, failure.text);
            let places = [].into();
            found_destination(cx, &inet.text, exchange.as_ref(), &places, Some(&reason));
            cx.why = Some(reason);
        }
        Ok(candidates) => {
            // What went wrong at an earlier destination is no excuse for this one.
            cx.why = None;
            let best = candidates.first().map_or(0, |first| first.preference);
            let loops = cx.request.protocol == Protocol::Smtp && inet.port == SMTP_PORT;
            let places: Vec<Place> = candidates.into_iter().map(Place::Inet).collect();
            let places = places.into();
            found_destination(cx, &inet.text, exchange.as_ref(), &places, None);
            let site = Site {
                domain: Arc::clone(&inet.domain),
                exchange,
                sts_domain: loops.then(|| sts_domain(cx, inet)).flatten(),
                ..Site::new(places, best, loops)
            };
            open_site(cx, site, Arc::clone(&inet.text), &inet.domain);
        }
    }
}

/// The domain of a destination whose mail exchangers are looked up, in A-labels.
fn sts_domain(cx: &Context, inet: &InetDestination) -> Option<String> {
    let client = &cx.settings;
    let looked_up = !inet.bracketed
        && client.route.dns != DnsSupport::Disabled
        && !is_valid_address(&inet.domain);
    let domain = looked_up.then(|| client.route.idna.to_ascii(&inet.domain))??;
    Some(domain.strip_suffix('.').unwrap_or(&domain).to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{
        delivery::testing::{asked, context, go},
        dns::{Record, RecordData},
        route::Destination,
    };

    fn begin(cx: &mut Context, text: &str) -> Phase {
        cx.hosts.begun = 1;
        match cx.settings.nexthop.destination(text).unwrap() {
            Destination::Inet(inet) => Resolving::begin(cx, inet),
            other => panic!("{other:?}"),
        }
    }

    fn resume(phase: Phase) -> Box<Resolving> {
        match phase {
            Phase::Resolving(resolving) => resolving,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_needs_no_questions() {
        let mut cx = context(1);
        let phase = begin(&mut cx, "[192.0.2.1]:2525");
        assert!(matches!(phase, Phase::Choosing(_)));
        let site = cx.hosts.site.as_ref().unwrap();
        assert_eq!((site.places.len(), site.loop_detection), (1, false));
        assert_eq!(&*cx.hosts.label, "[192.0.2.1]:2525");
    }

    #[test]
    fn only_answers_to_open_questions_count() {
        let mut cx = context(1);
        let resolving = resume(begin(&mut cx, "[mx.example]"));
        let mut resolving = resume(go(resolving.poll(&mut cx)));
        assert_eq!(asked(&mut cx).first().unwrap(), "look up A of mx.example");
        assert!(resolving.asked(1) && !resolving.asked(99));
        let record = Record {
            owner: "mx.example".into(),
            ttl: 60,
            data: RecordData::A("192.0.2.1".parse().unwrap()),
            validated: false,
        };
        let answer = Answer {
            records: vec![record],
            canonical: "mx.example".into(),
            validated: false,
        };
        let others: Vec<u32> = resolving
            .open
            .keys()
            .copied()
            .filter(|at| *at != 1)
            .collect();
        resolving.resolved(1, Ok(answer));
        assert!(!resolving.asked(1));
        for serial in others {
            resolving.resolved(serial, Err(Failure::NoData));
        }
        assert!(matches!(go(resolving.poll(&mut cx)), Phase::Choosing(_)));
        assert_eq!(cx.hosts.site.as_ref().unwrap().places.len(), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_is_the_reason_for_whoever_is_left() {
        let mut cx = context(1);
        let mut resolving = resume(begin(&mut cx, "[gone.example]"));
        loop {
            match resolving.poll(&mut cx) {
                Next::Go(Phase::Resolving(again)) => resolving = again,
                Next::Await(Phase::Resolving(mut waiting)) => {
                    let open: Vec<u32> = waiting.open.keys().copied().collect();
                    for serial in open {
                        waiting.resolved(serial, Err(Failure::NotFound));
                    }
                    resolving = waiting;
                }
                Next::Go(Phase::Choosing(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(cx.hosts.site.is_none());
        assert_eq!(cx.why.unwrap().status.to_string(), "5.4.4");
    }
}
