//! In the place of the TLS side of a scripted server, where the crate is built
//! without the feature `tls`: there is none, and every handshake fails.

use std::time::Duration;

use super::secure::Handshake;
use crate::scenario::TlsScript;

/// The TLS of one connection; there can be none.
#[derive(Debug)]
pub(super) enum TlsServer {}

impl TlsServer {
    pub(super) fn new(_script: &TlsScript, _unix_time: Duration) -> Result<Self, String> {
        Err("built without the feature tls".to_owned())
    }

    pub(super) fn receive(&mut self, _wire: &[u8], _plain: &mut Vec<u8>) -> bool {
        match *self {}
    }

    pub(super) fn output(&mut self) -> Vec<u8> {
        match *self {}
    }

    pub(super) fn seal(&mut self, _plain: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub(super) fn close(&mut self) -> Vec<u8> {
        match *self {}
    }

    pub(super) fn handshake(&self) -> Handshake {
        match *self {}
    }
}
