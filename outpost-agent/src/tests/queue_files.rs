//! Queue files that are gone, locked, damaged.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::PermissionsExt,
    sync::Arc,
    thread,
};

use nix::fcntl::{Flock, FlockArg};
use postfix_ipc::queue_file::{Record, RecordKind};

use super::{
    server::Server,
    world::{Mail, World, line},
};

fn mode(mail: &Mail) -> u32 {
    fs::metadata(mail.path()).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_that_is_gone_is_not_delivered() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    fs::remove_file(mail.path()).unwrap();
    assert_eq!(world.serve(&mail).status(), -1);
    let text = format!(
        "log warning: open active {}: No such file or directory",
        mail.id
    );
    assert_eq!(world.journal(), [text]);
    assert_eq!(server.heard().len(), 0);
}

#[test]
fn what_is_no_regular_file_is_not_delivered() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    fs::remove_file(mail.path()).unwrap();
    fs::create_dir(mail.path()).unwrap();
    assert_eq!(world.serve(&mail).status(), -1);
    fs::remove_dir(mail.path()).unwrap();
    nix::unistd::mkfifo(mail.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(world.serve(&mail).status(), -1);
    let text = format!("log warning: active/{}: not a regular file", mail.id);
    assert_eq!(world.journal(), [text.clone(), text]);
    assert_eq!(server.heard().len(), 0);
}

#[test]
fn a_link_is_not_followed() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    fs::rename(mail.path(), format!("active/{}X", mail.id)).unwrap();
    std::os::unix::fs::symlink(format!("{}X", mail.id), mail.path()).unwrap();
    let served = world.serve(&mail);
    assert!(served.reply.is_none());
    let text = format!("open active {}: Too many levels of symbolic links", mail.id);
    assert_eq!(served.result.unwrap_err().to_string(), text);
    assert_eq!(server.heard().len(), 0);
}

#[test]
fn a_file_that_is_locked_is_left_alone() {
    let (world, server) = (World::new(""), Server::start(&[]));
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    let file = File::open(mail.path()).unwrap();
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let served = world.serve(&mail);
    let text = format!(
        "shared lock active/{}: Resource temporarily unavailable",
        mail.id
    );
    assert_eq!(served.result.unwrap_err().to_string(), text);
    assert!(served.reply.is_none());
    assert_eq!((server.heard().len(), mail.marks().as_str()), (0, "R"));
    // Other requests for the same message are no hindrance.
    let shared = lock.relock(FlockArg::LockSharedNonblock);
    shared.unwrap();
    assert_eq!(world.serve(&mail).status(), 0);
}

#[test]
fn nobody_else_gets_the_file_for_himself_while_it_is_delivered() {
    let (world, server) = (
        World::new(""),
        Server::start(&[("DATA", "pause 354 go on")]),
    );
    let mail = world.mail(&server.nexthop(), &["a@test"]);
    thread::scope(|scope| {
        let served = scope.spawn(|| world.serve(&mail));
        server.wait_for("DATA");
        let file = File::open(mail.path()).unwrap();
        assert!(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err());
        assert_eq!(served.join().unwrap().status(), 0);
    });
    let file = File::open(mail.path()).unwrap();
    assert!(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok());
}

/// Serves a request for a damaged message, and looks at what has to follow; `why` are the warnings about it.
fn corrupt(world: &World, content: impl FnOnce(&mut Vec<u8>), why: &[&str]) {
    let server = Server::start(&[]);
    let mail = world.mail_of(&server.nexthop(), &["a@test", "b@test"], |file| {
        line(file, "Subject: test");
        content(file);
    });
    check_corrupt(world, &mail, &server, why);
}

fn check_corrupt(world: &World, mail: &Mail, server: &Server, why: &[&str]) {
    let (before, lines) = (world.told("bounce ").len(), world.verdicts().len());
    let warned = world.told("log warning: ").len();
    let served = world.serve(mail);
    assert_eq!(
        (served.status(), served.bytes),
        (0, 77),
        "{why:?} {:?}",
        world.journal()
    );
    assert_eq!(
        (mail.marks().as_str(), mode(mail)),
        ("DD", 0o400),
        "{why:?}"
    );
    let text = "5.3.0 bounced (unreadable mail queue entry)";
    assert_eq!(
        world.verdicts().split_off(lines),
        [format!("a@test {text}"), format!("b@test {text}")],
        "{why:?}"
    );
    let records = world.told("bounce ").split_off(before);
    assert_eq!(records.len(), 2, "{why:?}");
    let end = "status 5.3.0 diag_type  diag_text  mta_type  mta_mname  action failed \
               reason unreadable mail queue entry";
    assert!(
        records.iter().all(|record| record.ends_with(end)),
        "{records:?}"
    );
    let id = &mail.id;
    let mut warnings: Vec<String> = why.iter().map(|text| text.replace("ID", id)).collect();
    warnings.push(format!("corrupted queue file: active/{id}"));
    assert_eq!(world.told("log warning: ").split_off(warned), warnings);
    server.wait_for("CUT");
    assert_eq!(server.count("TEXT"), 0);
}

#[test]
fn a_record_that_is_no_text_is_corrupt_whatever_its_letter() {
    let world = World::new("");
    for letter in (0..=255_u8).filter(|letter| !b"NLwpX".contains(letter)) {
        let why = format!("ID: bad record type: {letter} in message content");
        corrupt(
            &world,
            |file| {
                Record::write(RecordKind(letter), b"text", file);
                Record::write(RecordKind::EXTRACTED, b"", file);
            },
            &[&why],
        );
    }
}

#[test]
fn lengths_and_pointers_that_lie_are_corrupt() {
    let world = World::new("");
    let no_record = "ID: bad record type: -2 in message content";
    for (bytes, text) in [
        (
            &b"N\x7ftext"[..],
            "unexpected EOF in data, record type 78 length 127",
        ),
        (
            b"N\xff\xff\xff\xff\x07text",
            "unexpected EOF in data, record type 78 length 2147483647",
        ),
        (
            b"N\xff\xff\xff\xff\x0ftext",
            "illegal length -1, record type 78",
        ),
        (
            b"N\x80\x80\x80\x80\x80\x01text",
            "too many length bits, record type 78",
        ),
        (
            b"p\x0f            abc",
            "malformed pointer record value: abc",
        ),
        (
            b"p\x0f             -5",
            "malformed pointer record value: -5",
        ),
    ] {
        let why = format!("active/ID: {text}");
        corrupt(
            &world,
            |file| file.extend_from_slice(bytes),
            &[&why, no_record],
        );
    }
    // Behind the end of the file there is nothing.
    corrupt(
        &world,
        |file| file.extend_from_slice(b"p\x0f      999999999"),
        &["ID: bad record type: -1 in message content"],
    );
    // To and fro for ever.
    corrupt(
        &world,
        |file| {
            let pointer = format!("{:15}", file.len());
            Record::write(RecordKind::POINTER, pointer.as_bytes(), file);
        },
        &["active/ID: too many reverse jump records", no_record],
    );
}

#[test]
fn a_file_that_is_cut_anywhere_in_its_text_is_corrupt() {
    let world = World::new("");
    let whole = fs::read(world.mail("x", &["a@test", "b@test"]).path()).unwrap();
    let server = Server::start(&[]);
    // Both end records are lost, and more.
    for cut in 3..20 {
        let mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
        let file = OpenOptions::new().write(true).open(mail.path()).unwrap();
        file.set_len((whole.len() - cut) as u64).unwrap();
        let served = world.serve(&mail);
        assert_eq!(
            (served.status(), mail.marks().as_str(), mode(&mail)),
            (0, "DD", 0o400),
            "{cut}"
        );
    }
    assert_eq!(server.count("TEXT"), 0);
    assert_eq!(world.told("bounce ").len(), 2 * 17);
    assert_eq!(world.verdicts().len(), 2 * 17);
}

#[test]
fn a_file_that_gets_shorter_while_it_is_read_is_corrupt() {
    let world = World::new("");
    let server = Server::start(&[("DATA", "pause 354 go on")]);
    let mail = world.mail_of(&server.nexthop(), &["a@test", "b@test"], |file| {
        for _ in 0..20_000 {
            line(file, &"x".repeat(998));
        }
        Record::write(RecordKind::EXTRACTED, b"", file);
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            server.wait_for("DATA");
            let file = OpenOptions::new().write(true).open(mail.path()).unwrap();
            let record = 1001;
            let offset = mail.request.head.offset as u64;
            file.set_len(offset + 19_000 * record).unwrap();
        });
        check_corrupt(
            &world,
            &mail,
            &server,
            &["ID: bad record type: -1 in message content"],
        );
    });
}

#[test]
fn who_has_a_verdict_already_does_not_get_another() {
    let world = World::new("");
    let server = Server::start(&[
        ("RCPT TO:<bad", "550 5.1.1 no"),
        ("RCPT TO:<busy", "450 4.2.1 no"),
    ]);
    let to = ["bad@test", "busy@test", "a@test"];
    let mail = world.mail_of(&server.nexthop(), &to, |file| line(file, "x"));
    assert_eq!(world.serve(&mail).status(), -1);
    // Somebody waits for another attempt.
    assert_eq!(
        (mail.marks().as_str(), mode(&mail) == 0o400),
        ("DRD", false)
    );
    let mut verdicts: Vec<String> = world
        .verdicts()
        .iter()
        .map(|line| line[..16].to_owned())
        .collect();
    verdicts.sort();
    assert_eq!(
        verdicts,
        ["a@test 5.3.0 bou", "bad@test 5.1.1 b", "busy@test 4.2.1 "]
    );
    assert_eq!(
        world.told("log warning: ").len(),
        1,
        "{:?}",
        world.journal()
    );
}

#[test]
fn a_corrupt_file_is_not_put_aside_where_bounces_are_soft() {
    let (world, server) = (World::new("soft_bounce = yes\n"), Server::start(&[]));
    let mail = world.mail_of(&server.nexthop(), &["a@test"], |file| line(file, "x"));
    assert_eq!(world.serve(&mail).status(), -1);
    assert_eq!((mail.marks().as_str(), mode(&mail) == 0o400), ("R", false));
    assert_eq!(
        world.verdicts(),
        ["a@test 4.3.0 SOFTBOUNCE (unreadable mail queue entry)"]
    );
}

#[test]
fn a_size_that_is_wrong_does_no_harm() {
    let (world, server) = (World::new(""), Server::start(&[]));
    for size in [0, 1, -1, i64::MAX, i64::MIN] {
        let mut mail = world.mail(&server.nexthop(), &["a@test"]);
        mail.request.head.size = size;
        assert_eq!(
            (world.serve(&mail).status(), mail.marks().as_str()),
            (0, "D"),
            "{size}"
        );
    }
    assert_eq!(server.count("TEXT Subject: test||Hello."), 5);
}

#[test]
fn a_mark_that_cannot_be_written_is_told() {
    let world = World::new("");
    let server = Server::start(&[]);
    let mut mail = world.mail(&server.nexthop(), &["a@test", "b@test"]);
    mail.request.recipients[0].offset = i64::MAX;
    assert_eq!(world.serve(&mail).status(), -1);
    let errors = world.told("log error: ");
    assert!(
        errors.len() == 1 && errors[0].starts_with("update active/"),
        "{errors:?}"
    );
    assert_eq!(Arc::strong_count(&world.agent), 1);
}
