//! The send queue against a plain byte vector.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use smtp_proto::SendQueue;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Link(Vec<u8>),
    Advance(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Write),
        4 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(Step::Link),
        4 => (0..2000_usize).prop_map(Step::Advance),
        1 => Just(Step::Clear),
    ]
}

fn content(queue: &mut SendQueue) -> Vec<u8> {
    queue.copy_to_bytes(queue.len()).to_vec()
}

proptest! {
    #[test]
    fn bytes_come_out_as_they_went_in(steps in prop::collection::vec(step(), 0..40)) {
        let (mut queue, mut model, mut sent) = (SendQueue::new(), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    queue.write(&bytes);
                    model.extend(bytes);
                }
                Step::Link(bytes) => {
                    queue.link(Bytes::from(bytes.clone()));
                    model.extend(bytes);
                }
                Step::Advance(count) => {
                    let taken = count.min(model.len());
                    queue.advance(count);
                    model.drain(..taken);
                    sent += taken as u64;
                }
                Step::Clear => {
                    queue.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.is_empty());
            prop_assert_eq!(queue.sent(), sent);
            prop_assert_eq!(queue.chunk().is_empty(), model.is_empty());
            prop_assert!(model.starts_with(queue.chunk()));
        }
        prop_assert_eq!(content(&mut queue), model);
    }
}

#[test]
fn large_chunks_are_shared_and_small_ones_copied() {
    let (small, large) = (Bytes::from(vec![1; 511]), Bytes::from(vec![2; 512]));
    let mut queue = SendQueue::new();
    queue.link(large.clone());
    assert_eq!(queue.chunk().as_ptr(), large.as_ptr());
    queue.clear();
    queue.link(small.clone());
    assert_ne!(queue.chunk().as_ptr(), small.as_ptr());
}

#[test]
fn small_writes_make_one_chunk() {
    let mut queue = SendQueue::new();
    queue.write(b"MAIL FROM:<>\r\n");
    queue.write(b"DATA\r\n");
    assert_eq!(queue.chunk(), b"MAIL FROM:<>\r\nDATA\r\n");
}

#[cfg(feature = "std")]
#[test]
fn a_vectored_write_sees_chunks_and_tail() {
    let mut queue = SendQueue::new();
    queue.write(b"head");
    queue.link(Bytes::from(vec![b'x'; 600]));
    queue.write(b"tail");
    let mut slices = [std::io::IoSlice::new(b""); 8];
    let count = queue.chunks_vectored(&mut slices);
    let joined: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    assert_eq!(count, 3);
    assert_eq!(joined, content(&mut queue));
    assert_eq!(queue.chunks_vectored(&mut [std::io::IoSlice::new(b"")]), 0);
}
