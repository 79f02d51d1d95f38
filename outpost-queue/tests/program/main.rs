//! The program `outpost-queue` as its users see it: each file is about one part of it.

mod common;

mod book;
mod messages;
mod places;
mod serve;
mod work;
