//! The driver of the example `own_driver`, at a scripted server.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

#[path = "../examples/own_driver.rs"]
mod own_driver;

use std::{path::Path, sync::Arc, time::Duration};

use outpost::{
    Address, Status,
    smtp_policy::{Protocol, request::Request},
};
use serde_json::json;
use smtp_sim::{host::Host, scenario::Scenario};

#[test]
fn many_messages_go_out_at_once_from_one_loop() {
    let script = json!({ "name": "mx.test", "extensions": ["PIPELINING"],
                         "rules": [{ "on": "RCPT", "contains": "no@", "reply": ["550 5.1.1 no"] }] });
    let scenario =
        json!({ "name": "", "servers": { "127.0.0.71:26600": script }, "dns": {}, "requests": [] });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let dns = "127.0.0.71:26601".parse().unwrap();
    let host = Host::start(
        &scenario,
        Path::new("/nowhere"),
        dns,
        Duration::from_millis(5),
    )
    .unwrap();
    let request = |number: usize| {
        let to = ["you@x.example", "no@x.example"][number % 2];
        let to = Address::parse(to).unwrap().into();
        let hop = "[127.0.0.71]:26600".parse().unwrap();
        let from = "me@example.org".parse().unwrap();
        (
            Request::new(Protocol::Smtp, hop, from, vec![to]),
            b"Subject: x\n\nx\n".to_vec(),
        )
    };
    let messages = (0..20).map(request).collect();
    let reports = own_driver::deliver_all(Arc::new(own_driver::policy().unwrap()), messages);
    host.finish();
    assert_eq!(reports.len(), 20);
    for (number, report) in reports.iter().enumerate() {
        let status = [Status::Sent, Status::Bounced][number % 2];
        assert!(report.all(status), "{number}: {report}");
    }
}
