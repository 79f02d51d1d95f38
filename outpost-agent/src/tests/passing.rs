//! Mail that is passed to another delivery agent, which is a small server here.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    thread,
};

use postfix_ipc::{
    attr::List,
    queue_file::Hashing,
    request::{DeliveryRequest, Dsn, FinalReply, RequestReader},
};
use smtp_policy::{
    delivery::Observer,
    report::{Outcome, Status},
    settings::BestMx,
};
use smtp_proto::EnhancedStatus;

use super::world::{Mail, World};
use crate::{message::Message, reporter::Reporter};

/// The other agent: what it says at first, and to a request; and the requests that it gets.
struct Other {
    name: String,
    requests: Arc<Mutex<Vec<DeliveryRequest>>>,
}

impl Other {
    fn start(world: &World, greeting: Vec<u8>, reply: Vec<u8>) -> Self {
        let name = format!("other{}", world.number);
        let path = format!("private/{name}");
        // There was another one before.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&requests);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // The agent may leave at any time.
                let _ = stream.write_all(&greeting);
                let mut reader = RequestReader::new("agent");
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    reader.push(&bytes[..length]);
                    if let Some(request) = reader.next_request().unwrap() {
                        to.lock().unwrap().push(request);
                        let _ = stream.write_all(&reply);
                        break;
                    }
                }
            }
        });
        Self { name, requests }
    }

    fn requests(&self) -> Vec<DeliveryRequest> {
        self.requests.lock().unwrap().clone()
    }
}

/// Passes the recipients of a message on, and returns what the queue manager hears.
fn pass(world: &World, mail: &Mail, transport: &str, nexthop: Option<&str>) -> FinalReply {
    let head = mail.request.head.clone();
    let name = head.queue_file().unwrap();
    let message = Message::open(name, "", &Hashing::new("", 0)).ok().unwrap();
    let reply = Arc::new(Mutex::new(FinalReply::done()));
    let mut reporter = Reporter {
        agent: Arc::clone(&world.agent),
        head,
        recipients: mail.request.recipients.clone(),
        message: Arc::new(message),
        reply: Arc::clone(&reply),
        pulse: world.agent.watchdog.watch().pulse(),
    };
    let code = EnhancedStatus::new(4, 3, 0);
    let mut outcome = Outcome::new(Status::Deferred, code, "mail transport unavailable");
    outcome.pass_to = Some(Box::new(BestMx {
        transport: transport.to_owned(),
        nexthop: nexthop.map(|nexthop| nexthop.parse().unwrap()),
    }));
    for (index, recipient) in mail.request.recipients.iter().enumerate() {
        reporter.settled(index, &recipient.to_policy().unwrap(), &outcome);
    }
    reply.lock().unwrap().clone()
}

fn throttling() -> FinalReply {
    FinalReply {
        hop: Dsn::of_failure("4.4.1", "a dead host"),
        status: -1,
    }
}

#[test]
fn each_recipient_is_passed_on_and_nothing_else_is_done() {
    let world = World::new("");
    for (reply, nexthop) in [
        (FinalReply::done(), None),
        (FinalReply::deferred(), Some("[192.0.2.9]:25")),
        // That of another transport.
        (throttling(), None),
    ] {
        let other = Other::start(&world, DeliveryRequest::greeting(), reply.encode());
        let mail = world.mail("test", &["a b@test", "c@test"]).with_flags(6147);
        let lines = world.journal().len();
        let told = pass(&world, &mail, &other.name, nexthop);
        assert_eq!((told.status, told.hop), (reply.status, Dsn::default()));
        assert_eq!(mail.marks(), "RR");
        let line = |address| {
            let Mail { id, .. } = &mail;
            format!("log {id}: passing <{address}> to transport={}", other.name)
        };
        assert_eq!(
            world.journal()[lines..],
            [line("\"a b\"@test"), line("c@test")]
        );
        let requests = other.requests();
        assert_eq!(requests.len(), 2);
        for (request, recipient) in requests.iter().zip(&mail.request.recipients) {
            let mut head = mail.request.head.clone();
            head.nexthop = nexthop.unwrap_or("test").try_into().unwrap();
            head.recipient_count = 1;
            assert_eq!(
                (&request.head, &request.recipients),
                (&head, &vec![recipient.clone()])
            );
        }
    }
}

#[test]
fn who_cannot_be_passed_on_is_deferred() {
    let world = World::new("ipc_timeout = 1s\n");
    let greeting = DeliveryRequest::greeting;
    let unavailable = "mail transport unavailable";
    let unknown = "unknown mail transport error";
    for (name, greeting, reply, text, warnings) in [
        ("absent", None, &b""[..], unavailable, 1),
        ("says nothing", Some(Vec::new()), b"", unavailable, 2),
        (
            "is another",
            Some(b"protocol\0queue_flush_protocol\0\0".to_vec()),
            b"",
            unavailable,
            2,
        ),
        ("leaves", Some(greeting()), b"", unknown, 2),
        ("babbles", Some(greeting()), b"status\0no\0\0", unknown, 2),
    ] {
        let _ = fs::remove_file(format!("private/other{}", world.number));
        let transport = match greeting {
            Some(greeting) => Other::start(&world, greeting, reply.to_vec()).name,
            None => format!("other{}", world.number),
        };
        let (lines, warned) = (world.verdicts().len(), world.told("log warning: ").len());
        let mail = world.mail("test", &["a@test"]);
        let told = pass(&world, &mail, &transport, None);
        assert_eq!(
            (told.status, told.hop, mail.marks().as_str()),
            (-1, Dsn::default(), "R"),
            "{name}"
        );
        let line = format!("a@test 4.3.0 deferred ({text})");
        assert_eq!(world.verdicts()[lines..], [line], "{name}");
        let warnings_now = world.told("log warning: ").split_off(warned);
        assert_eq!(warnings_now.len(), warnings, "{name}: {warnings_now:?}");
        let record = world.told("defer ").pop().unwrap();
        assert!(
            record.ends_with(&format!("action delayed reason {text}")),
            "{name}: {record}"
        );
    }
}

#[test]
fn a_service_does_not_pass_mail_to_itself() {
    let world = World::new("");
    let mail = world.mail("test", &["a@test"]);
    assert_eq!(pass(&world, &mail, "smtp", None).status, -1);
    assert_eq!(
        world.verdicts(),
        ["a@test 4.3.0 deferred (mail transport unavailable)"]
    );
    assert_eq!(world.told("log warning: ").len(), 1);
}
