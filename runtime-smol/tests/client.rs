//! The suite of all runtimes, and files of smol.
#![allow(clippy::unwrap_used)]

mod tested;

use runtime_smol::{AsyncReaderSource, Client};
use runtime_tests::{
    suite,
    toy::{Toy, policy, request},
};
use smtp_policy::{Protocol::Smtp, report::Status};
use tested::Smol;

suite!(Smol);
suite!(Smol, dropping);
#[cfg(feature = "mta-sts")]
suite!(Smol, mta_sts);

#[test]
fn a_file_of_smol_is_read_as_a_message() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        peer.serve_until("nothing");
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "0123456789abcde\n".repeat(64 * 1024);
    std::fs::write(file.path(), &text).unwrap();
    let client = Client::new(policy("", Vec::new()));
    let mail = request(Smtp, &toy.nexthop, 1);
    let report = smol::block_on(async {
        let file = smol::fs::File::open(file.path()).await.unwrap();
        client.deliver(mail, AsyncReaderSource::new(file), ()).await
    });
    assert!(report.all(Status::Sent), "{report:?}");
    assert!(toy.told() == text, "the text is another");
}
