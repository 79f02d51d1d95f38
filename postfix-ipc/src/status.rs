//! The status channel: what a child of master(8) tells it, and what it was told at its
//! start.
//!
//! One write per message on descriptor 5: three 32-bit numbers in the byte order of this
//! machine. A child begins as available. Answers to Postfix's `src/master/mail_server.h`
//! and `master_proto.h`.
//!
//! ```
//! use postfix_ipc::status::{Availability, Generation, StatusMessage};
//!
//! let generation: Generation = "10".parse()?; // $GENERATION, in octal
//! let message = StatusMessage { pid: 21, generation, availability: Availability::Taken };
//! assert_eq!(message.encode().len(), StatusMessage::SIZE);
//! assert_eq!(StatusMessage::decode(&message.encode()), Some(message));
//! # Ok::<(), postfix_ipc::status::BadGeneration>(())
//! ```

use core::{fmt, str::FromStr};

/// The descriptor of the status channel (`MASTER_STATUS_FD`).
pub const STATUS_DESCRIPTOR: i32 = 5;
/// The descriptor of the first socket to accept from (`MASTER_LISTEN_FD`).
pub const LISTEN_DESCRIPTOR: i32 = 6;
/// The environment variable with the [`Generation`].
pub const GENERATION_VARIABLE: &str = "GENERATION";

/// The reading of master.cf that a child was started by, so that master(8) can tell messages of
/// children that it has given up. A child that nobody told has zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

/// A [`Generation`] that is no octal number of 32 bits. Its `Display` is Postfix's text of the
/// fatal error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadGeneration(String);

impl FromStr for Generation {
    type Err = BadGeneration;

    fn from_str(text: &str) -> Result<Self, BadGeneration> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match u32::from_str_radix(text, 8) {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(BadGeneration(text.to_owned())),
        }
    }
}

impl fmt::Display for BadGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = smtp_policy::report::printable(&self.0);
        write!(f, "bad generation: {text}")
    }
}

impl core::error::Error for BadGeneration {}

/// The state of a child, from which master(8) knows if it needs another for the next client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The child is busy (`MASTER_STAT_TAKEN`).
    Taken,
    /// The child waits for a client (`MASTER_STAT_AVAIL`).
    Available,
}

/// A message on the status channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusMessage {
    /// The process that master(8) started.
    pub pid: i32,
    /// Its generation.
    pub generation: Generation,
    /// Its state from now on.
    pub availability: Availability,
}

impl StatusMessage {
    /// The bytes of a message.
    pub const SIZE: usize = 12;

    /// The message on the wire. It is to go out in one write: part of one is lost.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let availability = match self.availability {
            Availability::Taken => 0_u32,
            Availability::Available => 1,
        };
        let numbers = [self.pid.cast_unsigned(), self.generation.0, availability];
        let mut bytes = [0; Self::SIZE];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, number) in places.iter_mut().zip(numbers) {
            *place = number.to_ne_bytes();
        }
        bytes
    }

    /// Reads a message, as master(8) does; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([pid, generation, availability], []) = bytes.as_chunks::<4>() else {
            return None;
        };
        Some(Self {
            pid: i32::from_ne_bytes(*pid),
            generation: Generation(u32::from_ne_bytes(*generation)),
            availability: match u32::from_ne_bytes(*availability) {
                0 => Availability::Taken,
                1 => Availability::Available,
                _ => return None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_octal() {
        for (text, number) in [
            ("0", Some(0)),
            ("10", Some(8)),
            ("37777777777", Some(u32::MAX)),
        ] {
            assert_eq!(text.parse().ok(), number.map(Generation), "{text}");
        }
        for text in ["", "8", "+1", "-1", " 1", "1x", "40000000000"] {
            let error = text.parse::<Generation>().unwrap_err();
            assert_eq!(error.to_string(), format!("bad generation: {text}"));
        }
    }

    #[test]
    fn what_is_no_message_is_not_read() {
        assert_eq!(StatusMessage::decode(&[0; 11]), None);
        assert_eq!(StatusMessage::decode(&[0; 13]), None);
        let mut bytes = [0; 12];
        bytes[8..].copy_from_slice(&2_u32.to_ne_bytes());
        assert_eq!(StatusMessage::decode(&bytes), None);
    }
}
