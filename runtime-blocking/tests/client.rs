//! The suite of all runtimes, and deliveries within deliveries of a thread.

mod tested;

use bytes::Bytes;
use runtime_tests::{
    suite,
    toy::{Toy, policy, request},
};
use smtp_policy::{
    Protocol::Smtp,
    delivery::Observer,
    report::{Outcome, Status},
    request::{RcptIndex, Recipient, Request},
};
use tested::Blocking;

const TEXT: Bytes = Bytes::from_static(b"x\n");

suite!(Blocking);
#[cfg(feature = "mta-sts")]
suite!(Blocking, mta_sts);

#[test]
fn an_observer_may_deliver_while_it_is_called_by_a_delivery() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        peer.serve_until("nothing");
    });
    let client = runtime_blocking::Client::new(policy("", Vec::new()));
    let copy = Copy(client.clone(), request(Smtp, &toy.nexthop, 1));
    let report = client.deliver(request(Smtp, &toy.nexthop, 2), TEXT, copy);
    assert!(report.all(Status::Sent), "{report:?}");
    assert_eq!([(); 3].map(|()| toy.told()), ["x\n"; 3]);
}

/// Delivers a copy for each recipient, before it hears of the next.
struct Copy(runtime_blocking::Client, Request);

impl Observer for Copy {
    fn settled(&mut self, _: RcptIndex, _: &Recipient, _: &Outcome) {
        let report = self.0.deliver(self.1.clone(), TEXT, ());
        assert!(report.all(Status::Sent), "{report:?}");
    }
}
