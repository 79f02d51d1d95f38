//! The counts that a recorder of the `metrics` facade gets.
#![cfg(all(feature = "metrics", feature = "blocking"))]
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use outpost::{Envelope, blocking::Mailer};
use serde_json::json;
use smtp_sim::{host::Host, scenario::Scenario};

/// Counts what it is told, by name and labels; of a histogram the number of samples.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

/// One entry of them.
struct Entry(Counts, String);

impl Counts {
    fn entry(&self, key: &Key) -> Arc<Entry> {
        let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
        let name = key.name().trim_start_matches("outpost_");
        Arc::new(Entry(self.clone(), format!("{name} {}", labels.join(" "))))
    }
}

impl CounterFn for Entry {
    fn increment(&self, by: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += by;
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Entry {
    fn record(&self, _: f64) {
        self.increment(1);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.entry(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.entry(key))
    }
}

#[test]
fn verdicts_connections_and_times_are_counted() {
    let at = "127.0.0.73:26544";
    let scenario = json!({ "name": "", "requests": [], "dns": {}, "servers": { at: {
        "name": "mx.test", "rules": [{ "on": "RCPT", "contains": "no@", "reply": ["550 5.1.1 no"] }],
    } } });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let dns: SocketAddr = "127.0.0.73:26545".parse().unwrap();
    let host = Host::start(
        &scenario,
        Path::new("/nowhere"),
        dns,
        Duration::from_millis(5),
    );
    let host = host.unwrap();
    let recorder = Counts::default();
    metrics::with_local_recorder(&recorder, || {
        outpost::metrics::describe();
        let mailer = Mailer::relay("[127.0.0.73]:26544").build().unwrap();
        for to in ["yes@example.com", "no@example.com", "yes@example.com"] {
            let envelope = Envelope::new("me@example.org", [to]).unwrap();
            mailer.send(envelope, "Subject: x\n\nx\n");
        }
        mailer.close();
    });
    host.finish();
    let counts = recorder.0.lock().unwrap();
    for (name, count) in [
        ("recipients_total sent false", 2),
        ("recipients_total bounced false", 1),
        ("connections_total new", 1),
        ("connections_total kept", 2),
        ("delay_seconds transmission", 3),
    ] {
        assert_eq!(counts.get(name), Some(&count), "{name} in {counts:?}");
    }
}
