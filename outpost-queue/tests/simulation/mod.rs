//! Worlds in which workers die, stores fail and servers lose answers, in virtual days.

#![allow(dead_code)]

pub(crate) mod chance;
pub(crate) mod exec;
pub(crate) mod judge;
pub(crate) mod servers;
pub(crate) mod store;
pub(crate) mod world;
