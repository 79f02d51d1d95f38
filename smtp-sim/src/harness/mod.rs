//! One function per fuzz target: bytes in, a panic where a promise is broken.
//!
//! The same functions are called by libFuzzer (`fuzz/fuzz_targets`), by property
//! tests and by the replay of the corpora in `cargo test`. They assert what holds
//! for any input: nothing panics, nothing grows without bound, the cuts between
//! chunks change nothing, what was encoded can be decoded.
//!
//! ```
//! smtp_sim::harness::reply(b"250-mx.example\r\n250 SIZE 1000\r\n");
//! ```

#[cfg(feature = "differential")]
mod differential;
mod ipc;
mod mime;
mod request;
mod session;
mod tls;
mod toy;
mod world;

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Buf, Bytes};
use postfix_config::MainCf;
use smtp_policy::{
    Protocol,
    dns::{Query, QueryKind, answer_dns_stub},
};
use smtp_proto::{BodyEncoder, Capabilities, KeywordSet, ReplyLimits, ReplyReader, SendQueue};

#[cfg(feature = "differential")]
pub use differential::{Difference, differential};
pub use ipc::{attr, delivery_request, queue_file};
pub use mime::mime;
pub use request::{is_delivered, request};
pub use session::{Place, reach, session};
pub use tls::tls;
pub use world::world;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target and of its corpus.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "attr",
        run: attr,
    },
    Target {
        name: "body",
        run: body,
    },
    Target {
        name: "config",
        run: config,
    },
    Target {
        name: "delivery_request",
        run: delivery_request,
    },
    #[cfg(feature = "differential")]
    Target {
        name: "differential",
        run: differential,
    },
    Target {
        name: "dns",
        run: dns,
    },
    Target {
        name: "mime",
        run: mime,
    },
    Target {
        name: "queue_file",
        run: queue_file,
    },
    Target {
        name: "reply",
        run: reply,
    },
    Target {
        name: "request",
        run: request,
    },
    Target {
        name: "session",
        run: session,
    },
    Target {
        name: "table",
        run: table,
    },
    Target {
        name: "tls",
        run: tls,
    },
    Target {
        name: "world",
        run: world,
    },
];

/// Reads an input as what a target wants: fields that steer, a fixed number of bytes
/// each, with zeros for what is missing, and behind them the matter.
fn read<'a, T: Arbitrary<'a>>(input: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(input)).ok()
}

/// Chunks of these lengths in turn, at least one byte each.
fn chunks<'a>(lengths: &'a [u8], matter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().cycle();
    let mut left = matter;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let length = lengths
            .next()
            .map_or(left.len(), |byte| usize::from(*byte).max(1));
        let (chunk, rest) = left.split_at(length.min(left.len()));
        left = rest;
        Some(chunk)
    })
}

/// Replies, read whole and in pieces, and the capabilities in them.
pub fn reply(input: &[u8]) {
    let Some((lengths, matter)) = read::<([u8; 4], &[u8])>(input) else {
        return;
    };
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut reader = ReplyReader::new(ReplyLimits::default(), None);
        let mut seen = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(reply) = reader.next() {
                seen.push(reply);
            }
        }
        assert!(reader.buffered() <= matter.len());
        (seen, reader.take_notes())
    };
    let whole = read(&mut std::iter::once(matter));
    let pieces = read(&mut chunks(&lengths, matter));
    assert_eq!(whole, pieces, "the cuts change the replies");
    for reply in whole.0.into_iter().flatten() {
        assert!(reply.code() <= 999 && reply.text().len() <= 2 * 2048 + 1);
        let _ = Capabilities::parse(&reply, KeywordSet::parse("pipelining"));
    }
}

/// Text, encoded in pieces; a receiver that undoes the encoding finds the text.
pub fn body(input: &[u8]) {
    let Some((lengths, matter)) = read::<([u8; 4], &[u8])>(input) else {
        return;
    };
    // The first length is the limit too.
    let limit = usize::from(lengths[0]);
    let (mut encoder, mut out) = (BodyEncoder::new(limit), SendQueue::new());
    for chunk in chunks(&lengths, matter) {
        encoder.push(Bytes::copy_from_slice(chunk), &mut out);
    }
    encoder.finish(&mut out);
    let wire = out.copy_to_bytes(out.remaining());
    assert!(
        matter.is_empty() || wire.ends_with(b"\r\n"),
        "the last line is not ended"
    );
    let mut before: &[u8] = b"\r\n";
    let mut text = Vec::new();
    for line in wire.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").unwrap_or(line);
        assert!(
            !(before.ends_with(b"\r\n") && content == b"."),
            "the text ends early"
        );
        assert!(
            limit < 2 || content.len() <= limit + 1,
            "a line is too long"
        );
        text.extend_from_slice(content.strip_prefix(b".").unwrap_or(content));
        if line.ends_with(b"\r\n") {
            text.push(b'\n');
        }
        before = line;
    }
    if limit == 0 {
        let mut expected = matter.to_vec();
        if expected.last().is_some_and(|byte| *byte != b'\n') {
            expected.push(b'\n');
        }
        assert_eq!(text, expected, "the text cannot be recovered");
    }
}

/// A main.cf: read, checked, listed.
pub fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(main_cf) = MainCf::parse(&text, "main.cf", "/nowhere".as_ref()) else {
        return;
    };
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        if let Err(error) = main_cf.config(protocol) {
            assert!(!error.to_string().is_empty());
        }
    }
    let _ = main_cf.warnings();
}

/// A table in the main.cf itself, and a key.
pub fn table(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (spec, key) = text.split_once('\n').unwrap_or((&text, "key"));
    // Tables that read files have no business here.
    let inline = spec.contains('{') && !spec.contains('/');
    if inline && let Ok(table) = postfix_config::tables::open(spec, "/nowhere".as_ref()) {
        let _ = table.lookup(key);
    }
}

/// The answer of a name server.
pub fn dns(input: &[u8]) {
    let Some((kind, packet)) = read::<(u8, &[u8])>(input) else {
        return;
    };
    let kind = match kind % 7 {
        0 => QueryKind::Mx,
        1 => QueryKind::A,
        2 => QueryKind::Aaaa,
        3 => QueryKind::Cname,
        4 => QueryKind::Tlsa,
        5 => QueryKind::Srv,
        _ => QueryKind::Txt,
    };
    if let Ok(answer) = answer_dns_stub(packet, &Query::new("example.com", kind)) {
        assert!(answer.records.len() <= 100 && !answer.records.is_empty());
        assert!(
            answer
                .records
                .iter()
                .all(|record| record.data.kind() == kind)
        );
    }
}
