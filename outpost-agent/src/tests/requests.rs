//! Requests that are not as they should be.

use std::{io::Write, net::Shutdown, os::unix::net::UnixStream, sync::Arc, thread};

use postfix_ipc::{
    attr::{List, Value},
    request::DeliveryRequest,
};

use super::{
    server::Server,
    world::{self, Mail, World},
};

pub(super) const COMMON: &str = "deliver_request_get: error receiving common attributes";
pub(super) const RECIPIENT: &str = "deliver_request_get: error receiving recipient attributes";

/// The bytes of a request in which `from` is replaced.
pub(super) fn with(mail: &Mail, from: &[u8], to: &[u8]) -> Vec<u8> {
    let bytes = mail.request.encode();
    let at = bytes.windows(from.len()).position(|window| window == from);
    let (before, rest) = bytes.split_at(at.unwrap());
    [before, to, &rest[from.len()..]].concat()
}

/// The warnings about a request that is not served.
fn refused(world: &World, bytes: &[u8]) -> Vec<String> {
    let before = world.journal().len();
    let served = world.serve_bytes(bytes);
    assert_eq!((served.status(), served.hop().0.as_str()), (-1, ""));
    let after = world.journal().split_off(before);
    let warning = |line: String| line.strip_prefix("log warning: ").unwrap().to_owned();
    after.into_iter().map(warning).collect()
}

#[test]
fn a_request_that_is_cut_off_is_not_served() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
    let bytes = mail.request.encode();
    let head = bytes.len()
        - mail
            .request
            .recipients
            .iter()
            .map(|one| one.encode().len())
            .sum::<usize>();
    for cut in 0..bytes.len() {
        let before = world.journal().len();
        let (mut manager, mut stream) = UnixStream::pair().unwrap();
        let (agent, client) = (Arc::clone(&world.agent), world.client.clone());
        let thread = thread::spawn(move || agent.serve(&client, &mut stream));
        world::greeted(&mut manager);
        manager.write_all(&bytes[..cut]).unwrap();
        manager.shutdown(Shutdown::Write).unwrap();
        let (reply, _) = world::reply(&mut manager);
        drop(manager);
        assert_eq!(thread.join().unwrap(), Ok(()));
        let after = world.journal().split_off(before);
        // The queue manager may change its mind, of which nothing is said.
        assert_eq!(
            reply.map(|reply| reply.status),
            (cut > 0).then_some(-1),
            "{cut}"
        );
        match cut {
            0 => assert_eq!(after.len(), 0),
            _ => {
                let last = if cut < head { COMMON } else { RECIPIENT };
                assert!(
                    after[0].contains("smtp socket while reading input attribute"),
                    "{after:?}"
                );
                assert_eq!(after[1..], [format!("log warning: {last}")], "{cut}");
            }
        }
    }
    assert_eq!((server.heard().len(), mail.marks().as_str()), (0, "RR"));
    assert_eq!(world.serve(&mail).status(), 0);
}

#[test]
fn a_request_that_does_not_go_on_is_not_served() {
    let (world, server) = (World::with_services(&[]), Server::start(&[]));
    let bytes = world.mail(&server.nexthop(), &["a@test"]).request.encode();
    let text = "timeout on smtp socket while reading input attribute";
    assert_eq!(
        refused(&world, &bytes[..38]),
        [format!("{text} value"), COMMON.to_owned()]
    );
    assert_eq!(
        refused(&world, &bytes[..bytes.len() - 1]),
        [format!("{text} name"), RECIPIENT.to_owned()]
    );
}

#[test]
fn attributes_have_their_places() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    for (from, to, text, last) in [
        (
            &b"flags\x003\0queue_name\0active\0"[..],
            &b"queue_name\0active\0flags\x003\0"[..],
            "unexpected attribute queue_name from smtp socket (expecting: flags)",
            COMMON,
        ),
        (
            b"size\x00100\0",
            b"",
            "unexpected attribute nexthop from smtp socket (expecting: size)",
            COMMON,
        ),
        (
            b"size\x00100\0",
            b"size\x00100x\0",
            "malformed numerical data from smtp socket while reading input attribute value: 100x",
            COMMON,
        ),
        (
            b"size\x00100\0",
            b"length\x00100\0",
            "unexpected attribute length from smtp socket (expecting: size)",
            COMMON,
        ),
        (
            b"notify_flags\x000\0\0",
            b"notify_flags\x000\0later\x001\0\0",
            "unexpected attribute later from smtp socket (expecting: (list terminator))",
            RECIPIENT,
        ),
    ] {
        let warnings = refused(&world, &with(&mail, from, to));
        assert_eq!(warnings, [text, last]);
    }
    assert_eq!((server.heard().len(), mail.marks().as_str()), (0, "R"));
}

#[test]
fn options_may_have_their_later_name() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    let served = world.serve_bytes(&with(&mail, b"smtputf8\0", b"sendopts\0"));
    assert_eq!((served.status(), mail.marks().as_str()), (0, "D"));
}

#[test]
fn a_value_without_end_is_refused_before_it_is_there() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    let value = [&b"sender\0"[..], &vec![b'x'; 100_000_000], b"\0"].concat();
    let warnings = refused(&world, &with(&mail, b"sender\0from@test\0", &value));
    let text = "more than 262144 bytes from smtp socket while reading input attribute value";
    assert_eq!(warnings, [text, COMMON]);
    assert_eq!(world.serve(&mail).status(), 0);
}

#[test]
fn a_request_has_recipients() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    let (id, nexthop) = (&mail.id, server.nexthop());
    for count in ["0", "4294967295"] {
        let to = format!("recipient_count\0{count}\0");
        let warnings = refused(
            &world,
            &with(&mail, b"recipient_count\x001\0", to.as_bytes()),
        );
        let text = format!("{id}: no recipients in delivery request for destination {nexthop}");
        assert_eq!(warnings, [text]);
    }
    let bytes = with(
        &mail,
        b"recipient_count\x001\0",
        b"recipient_count\x00100001\0",
    );
    let text = format!("{id}: 100001 recipients in delivery request, more than 100000");
    assert_eq!(refused(&world, &bytes), [text]);
}

#[test]
fn a_request_with_senseless_values_is_not_served() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    let change = |change: fn(&mut DeliveryRequest)| {
        let mut request = mail.request.clone();
        change(&mut request);
        refused(&world, &request.encode())
    };
    let one = |warnings: Vec<String>, part: &str| {
        assert!(
            warnings.len() == 1 && warnings[0].contains(part),
            "{warnings:?}"
        );
    };
    one(
        change(|request| request.head.queue_name = Value::masked("../etc")),
        "../etc",
    );
    one(
        change(|request| request.head.queue_id = Value::masked("../../etc/passwd")),
        "../../etc",
    );
    one(
        change(|request| request.head.ret_flags = 3),
        "attribute ret_flags of the delivery request is 3",
    );
    one(
        change(|request| request.head.sender = Value::masked("a\nb@test")),
        "attribute sender of the delivery request",
    );
    one(
        change(|request| request.head.offset = -1),
        "attribute offset of the delivery request is -1",
    );
    one(
        change(|request| request.head.offset = 0),
        "attribute offset of the delivery request is 0",
    );
    assert_eq!((server.heard().len(), mail.marks().as_str()), (0, "R"));
}

#[test]
fn a_request_without_a_destination_is_fatal() {
    let world = World::new("");
    let served = world.serve(&world.mail("", &["a@test"]));
    assert_eq!(
        served.result.unwrap_err().to_string(),
        "empty nexthop hostname"
    );
    assert!(served.reply.is_none());
}

#[test]
fn recipients_whose_address_cannot_be_understood_are_deferred_and_others_get_their_mail() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mut mail = world.mail(
        &server.nexthop(),
        &["1@test", "a@test", "2@test", "b@test", "3@test"],
    );
    for (index, bytes) in [
        (0, b"\xff@test".to_vec()),
        (2, b"a\rb@test".to_vec()),
        (4, vec![b'x'; 5000]),
    ] {
        mail.request.recipients[index].address = Value::new(bytes).unwrap();
    }
    let served = world.serve(&mail);
    assert_eq!((served.status(), served.hop().0.as_str()), (-1, ""));
    assert_eq!(mail.marks(), "RDRDR");
    assert_eq!((server.count("RCPT"), server.count("TEXT")), (2, 1));
    let verdicts = world.verdicts();
    let count = |part| verdicts.iter().filter(|line| line.contains(part)).count();
    assert_eq!(
        (verdicts.len(), count(" 4.3.0 deferred "), count(" sent ")),
        (5, 3, 2)
    );
    let records = world.told("defer ");
    assert_eq!(records.len(), 3);
    for (record, index) in records.iter().zip([0, 2, 4]) {
        let offset = mail.request.recipients[index].offset;
        assert!(record.contains(&format!(" offset {offset} ")), "{record}");
    }
}
