//! The agent among its like: requests come over a socket as from the queue manager, and bounce(8), flush(8) and the others are small servers
//! that note what they are told.

mod crew;
mod modes;
#[allow(dead_code, reason = "the tests of the whole program use the rest")]
mod neighbours;
mod panics;
mod passing;
mod proxymap;
mod queue_files;
mod requests;
mod server;
mod services;
mod verdicts;
mod world;
