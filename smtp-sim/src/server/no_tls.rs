//! In the place of the TLS side of a scripted server, where the crate is built
//! without the feature `tls`: there is none, and every handshake fails.

use std::time::Duration;

use super::secure::Handshake;
use crate::scenario::TlsScript;

/// The TLS of one connection; there can be none.
#[derive(Debug)]
pub(crate) enum TlsServer {}

impl TlsServer {
    pub(crate) fn new(_script: &TlsScript, _unix_time: Duration) -> Result<Self, String> {
        Err("built without the feature tls".to_owned())
    }

    pub(crate) fn receive(&mut self, _wire: &[u8], _plain: &mut Vec<u8>) -> bool {
        match *self {}
    }

    pub(crate) fn output(&mut self) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn seal(&mut self, _plain: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn close(&mut self) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn is_done(&self) -> bool {
        match *self {}
    }

    pub(super) fn handshake(&self) -> Handshake {
        match *self {}
    }
}
