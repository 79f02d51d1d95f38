//! The program `outpost-queue` as its users see it: each file is about one part of it.

mod common;

mod book;
mod dkim;
mod messages;
mod places;
mod schema;
mod serve;
mod work;

/// The validator of the tests of the program `outpost`.
#[path = "../../../outpost/tests/program/common/schema.rs"]
mod strict;
