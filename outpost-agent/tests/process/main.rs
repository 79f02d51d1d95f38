//! The program as master(8) starts it: its descriptors and arguments, its processes, and what becomes of requests when it is killed,
//! or runs short of something.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod killed;
mod life;
mod master;
mod scarce;

#[path = "../../src/tests/neighbours.rs"]
#[allow(dead_code, reason = "the tests inside the program use the rest")]
mod neighbours;
#[path = "../../src/tests/server.rs"]
#[allow(dead_code, reason = "the tests inside the program use the rest")]
mod server;
