//! Every recording of a real Postfix, on real sockets.

use std::{net::SocketAddr, path::Path, thread, time::Duration};

use bytes::Bytes;
use smtp_sim::{
    RecipientResult, Scenario,
    conformance::{Failures, run_all},
    request::{policy, results, to_request},
};

use crate::Client;

pub fn every_recording<C: Client>() -> Result<(), Failures> {
    run_all("every_recording", deliver::<C>)
}

/// Delivers the requests of a scenario, one after the other.
fn deliver<C: Client>(
    scenario: &Scenario,
    folder: &Path,
    dns: SocketAddr,
) -> Vec<Vec<RecipientResult>> {
    let client = C::new(policy(scenario, folder, dns).unwrap());
    let mut reports = Vec::new();
    for spec in &scenario.requests {
        thread::sleep(Duration::from_millis(spec.pause_ms));
        let request = to_request(spec, scenario.protocol, folder).unwrap();
        let text = Bytes::from(spec.message());
        reports.push(results(&client.deliver_whole(request, text)));
    }
    client.hang_up();
    reports
}
