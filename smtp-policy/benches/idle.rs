//! How many bytes a session at rest holds: what is allocated for it, without its
//! configuration, which all sessions share.
#![allow(missing_docs, clippy::unwrap_used)]

use smtp_proto::{
    HelloName, Time,
    session::{Profile, Protocol, Session, Step},
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A session that has said EHLO and waits for a message.
fn at_rest() -> Box<Session> {
    let profile = Profile::new(
        Protocol::Smtp,
        HelloName::parse("client.example.org").unwrap(),
    );
    let mut session = Box::new(Session::new(profile, Time::ZERO));
    let replies: [&[u8]; 2] = [
        b"220 mx.example ESMTP\r\n",
        b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-8BITMIME\r\n250 DSN\r\n",
    ];
    for reply in replies {
        session.receive(reply);
        while let Step::Event(_) | Step::Send { .. } = session.poll(Time::ZERO) {
            session.output().clear();
        }
    }
    session.negotiation().unwrap().ready();
    let _ = session.poll(Time::ZERO);
    assert!(session.idle().is_some());
    session
}

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    let session = at_rest();
    let held = dhat::HeapStats::get().curr_bytes - before;
    drop(session);
    println!("bytes held by a session at rest: {held}");
    assert!(held <= 4096, "more than the budget of 4 KiB");
}
