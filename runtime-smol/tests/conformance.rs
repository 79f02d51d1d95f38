//! Every recording of a real Postfix, on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use runtime_smol::Client;
use smtp_sim::{
    RecipientResult, Scenario,
    conformance::{Failures, run_all},
    request::{policy, results, to_request},
};

#[test]
fn every_recording() -> Result<(), Failures> {
    run_all("every_recording", |scenario, folder, dns| {
        smol::block_on(deliver(scenario, folder, dns))
    })
}

/// Delivers the requests of a scenario, one after the other.
async fn deliver(scenario: &Scenario, folder: &Path, dns: SocketAddr) -> Vec<Vec<RecipientResult>> {
    let client = Client::new(policy(scenario, folder, dns).unwrap());
    let mut reports = Vec::new();
    for spec in &scenario.requests {
        smol::Timer::after(Duration::from_millis(spec.pause_ms)).await;
        let request = to_request(spec, scenario.protocol, folder).unwrap();
        let text = Bytes::from(spec.message());
        reports.push(results(&client.deliver_whole(request, text, ()).await));
    }
    client.hang_up();
    reports
}
