//! The body encoder against a plain copy of the same bytes, in the same run.
//!
//! Prints for texts with lines of several lengths the median over many rounds of
//! the encoder's time as a multiple of the copy's. `large` is beyond any cache, as
//! a stream of messages is; `cached` stays in the first levels of the cache, where
//! a copy costs next to nothing.
#![allow(missing_docs)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark looks at the clock; the crate does not"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use smtp_proto::{BodyEncoder, SendQueue};

const CHUNK: usize = 64 * 1024;

fn text(line: usize, length: usize) -> Bytes {
    let mut text: Vec<u8> = Vec::with_capacity(length + line);
    while text.len() < length {
        text.extend(std::iter::repeat_n(b'x', line - 1));
        text.push(b'\n');
    }
    text.truncate(length);
    text.into()
}

fn chunks(text: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..text.len())
        .step_by(CHUNK)
        .map(|from| text.slice(from..text.len().min(from + CHUNK)))
}

/// Copies the text piece by piece, and keeps `hold` bytes of copies around.
fn copy(text: &Bytes, hold: usize) -> Duration {
    let start = Instant::now();
    let mut kept = Vec::new();
    let mut size = 0;
    for chunk in chunks(text) {
        size += chunk.len();
        kept.push(black_box(chunk.to_vec()));
        if size > hold {
            kept.clear();
            size = 0;
        }
    }
    black_box(&kept);
    start.elapsed()
}

/// Encodes the text piece by piece, and lets the queue hold `hold` bytes.
fn encode(text: &Bytes, hold: usize) -> Duration {
    let start = Instant::now();
    let (mut encoder, mut out) = (BodyEncoder::new(998), SendQueue::new());
    for chunk in chunks(text) {
        encoder.push(chunk, &mut out);
        if out.len() > hold {
            black_box(out.chunk());
            out.clear();
        }
    }
    encoder.finish(&mut out);
    black_box(&out);
    start.elapsed()
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let rounds = if std::env::args().any(|a| a == "--bench") {
        31
    } else {
        1
    };
    for (name, length, hold) in [("large", 64 << 20, usize::MAX), ("cached", 4 << 20, CHUNK)] {
        for line in [20, 76, 990] {
            let text = text(line, length);
            let ratios = (0..rounds)
                .map(|_| {
                    let (copied, encoded) = (copy(&text, hold), encode(&text, hold));
                    encoded.as_secs_f64() / copied.as_secs_f64()
                })
                .collect();
            println!(
                "{name}, lines of {line} bytes: {:.2} times a copy",
                median(ratios)
            );
        }
    }
}
