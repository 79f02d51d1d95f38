//! The program `outpost` as its users see it: each file is about one part of it.
#![cfg(feature = "cli")]

mod common;

mod at_once;
mod book;
mod config;
mod deliver;
mod demo;
mod envelope;
mod exit_status;
mod header;
mod help;
mod injection;
mod interrupt;
mod journal;
mod load;
mod machine;
mod many;
mod message;
mod output;
mod probe;
mod probe_many;
mod queue;
mod report;
mod scarce;
mod schema;
mod sendmail;
mod sendmail_tls;
mod sink;
mod streaming;
mod tls;
mod trace;
