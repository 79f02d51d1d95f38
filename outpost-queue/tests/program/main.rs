//! The program `outpost-queue` as its users see it: each file is about one part of it.

mod common;

mod book;
mod dkim;
mod messages;
mod places;
mod serve;
mod work;
