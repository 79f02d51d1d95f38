//! Texts whose source has to be waited for.

use std::{
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    thread,
};

use bytes::Bytes;
use smtp_policy::{
    Protocol::Smtp,
    report::Status,
    text::{TextSource, must_be_polled},
};

use crate::{
    Client, client,
    toy::{Peer, Toy, request},
};

/// A text that another thread fills piece by piece. Clones are the same.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<Filled>>);

#[derive(Default)]
struct Filled {
    text: Vec<u8>,
    ended: bool,
    waker: Option<Waker>,
}

impl Pieces {
    fn give(&self, piece: &str) {
        self.change(|filled| filled.text.extend(piece.bytes()));
    }

    fn end(&self) {
        self.change(|filled| filled.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Filled)) {
        let mut filled = self.0.lock().unwrap();
        change(&mut filled);
        let waker = filled.waker.take();
        drop(filled);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl TextSource for Pieces {
    fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(must_be_polled())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        let mut filled = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let rest = filled.text.get(offset..).unwrap_or_default();
        let chunk = Bytes::copy_from_slice(&rest[..rest.len().min(room)]);
        if chunk.is_empty() && !filled.ended {
            filled.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(chunk))
    }
}

/// Tells each line of the text as it comes.
fn tell_lines(mut peer: Peer) {
    assert!(peer.serve_until("DATA"));
    peer.say("354 go on");
    peer.tell("go on");
    loop {
        let line = peer.line();
        if line == "." {
            break;
        }
        peer.tell(line);
    }
    peer.say("250 taken");
    peer.answer_until("nothing");
}

pub fn a_text_is_sent_as_its_source_has_it<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", tell_lines);
    let (client, pieces) = (client::<C>(""), Pieces::default());
    let mail = request(Smtp, &toy.nexthop, 1);
    let report = thread::scope(|scope| {
        let filler = pieces.clone();
        scope.spawn(|| {
            let filler = filler;
            assert_eq!(toy.told(), "go on");
            // Each line goes out before there is another.
            for line in ["Subject: hello", "", "world"] {
                filler.give(&format!("{line}\n"));
                assert_eq!(toy.told(), line);
            }
            filler.end();
        });
        client.deliver(mail, pieces, ())
    });
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn a_server_that_hangs_up_while_the_source_is_waited_for_is_heard<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
    });
    let client = client::<C>("");
    let mail = request(Smtp, &toy.nexthop, 1);
    let report = client.deliver(mail, Pieces::default(), ());
    let text = &report.recipients[0].1.text;
    assert!(text.starts_with("lost connection with"), "{text}");
}

pub fn a_source_that_gives_nothing_defers_the_mail_in_the_time_for_text<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", tell_lines);
    let client = client::<C>("smtp_data_xfer_timeout = 1");
    let mail = request(Smtp, &toy.nexthop, 1);
    let report = client.deliver(mail, Pieces::default(), ());
    let text = &report.recipients[0].1.text;
    let expected = "cannot read the message text: its source gave none for 1 s";
    assert_eq!(text, expected);
}

pub fn cancelling_ends_a_delivery_that_waits_for_its_source<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", |mut peer| {
        assert!(peer.serve_until("DATA"));
        peer.say("354 go on");
        peer.tell("go on");
        peer.line();
    });
    let client = client::<C>("");
    let mail = request(Smtp, &toy.nexthop, 1);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(toy.told(), "go on");
            client.cancel();
        });
        client.deliver(mail, Pieces::default(), ())
    });
    assert!(report.all(Status::Deferred), "{report:?}");
}
