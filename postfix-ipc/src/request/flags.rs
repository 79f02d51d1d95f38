//! The bits of a delivery request: what the queue manager wants, when the sender wants to be
//! told, and what SMTPUTF8 is needed for.

use core::ops::BitOr;

use smtp_policy::request::{CacheHints, TlsWish};
use smtp_proto::dsn::Notify;

use crate::attr::{Attribute, Attributes, List, Malformed, Stop, Writer};

/// A set of bits that keeps those without a name.
macro_rules! flags {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $flag:ident = $bits:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$doc])* pub const $flag: Self = Self($bits);)*

            /// True if all of `other` is among these.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// True if some of `other` is among these.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// These without `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl Attribute for $name {
            fn read(text: &[u8]) -> Result<Self, Malformed> {
                u32::read(text).map(Self)
            }

            fn write(&self, to: &mut Vec<u8>) {
                Attribute::write(&self.0, to);
            }
        }
    };
}

flags! {
    /// The wishes of the queue manager (`DEL_REQ_FLAG_…`).
    ///
    /// ```
    /// use postfix_ipc::request::RequestFlags;
    ///
    /// let flags = RequestFlags(1027);
    /// assert!(flags.contains(RequestFlags::SUCCESS) && !flags.is_probe());
    /// assert_eq!(flags.trace(), RequestFlags::RECORD);
    /// ```
    RequestFlags {
        /// Delivered recipients are to be marked as done.
        SUCCESS = 1;
        /// Bounced recipients are to be marked as done; agents do so anyway.
        BOUNCE = 2;
        /// A probe by verify(8): nothing is delivered, and verify(8) is told.
        MTA_VERIFY = 256;
        /// `sendmail -bv`: nothing is delivered, and the sender is told.
        USER_VERIFY = 512;
        /// `sendmail -v`: the sender is told, too.
        RECORD = 1024;
        /// A kept connection may be taken.
        CONNECTION_LOAD = 2048;
        /// The connection may be kept.
        CONNECTION_STORE = 4096;
        /// A delay was reported, and `confirm_delay_cleared` is on: the sender is told of the delivery.
        DELAY_REPORTED = 8192;
    }
}

impl RequestFlags {
    /// The flags that reports repeat.
    pub fn trace(self) -> Self {
        let trace = Self::MTA_VERIFY | Self::USER_VERIFY | Self::RECORD | Self::DELAY_REPORTED;
        Self(self.0 & trace.0)
    }

    /// True if nothing is to be delivered.
    pub fn is_probe(self) -> bool {
        self.intersects(Self::MTA_VERIFY | Self::USER_VERIFY)
    }

    /// The hints for the reuse of connections.
    pub fn cache_hints(self) -> CacheHints {
        CacheHints {
            load: self.contains(Self::CONNECTION_LOAD),
            store: self.contains(Self::CONNECTION_STORE),
        }
    }
}

flags! {
    /// The reports on a recipient that the sender wants (RFC 3461 section 4.1), as
    /// Postfix numbers them (`DSN_NOTIFY_…`). No bits: nothing was said.
    NotifyFlags {
        /// None.
        NEVER = 1;
        /// Of its delivery.
        SUCCESS = 2;
        /// Of its failure.
        FAILURE = 4;
        /// Of a delay.
        DELAY = 8;
    }
}

/// The wishes that have a name.
impl From<NotifyFlags> for Notify {
    fn from(flags: NotifyFlags) -> Self {
        let all = [
            (NotifyFlags::NEVER, Self::NEVER),
            (NotifyFlags::SUCCESS, Self::SUCCESS),
            (NotifyFlags::FAILURE, Self::FAILURE),
            (NotifyFlags::DELAY, Self::DELAY),
        ];
        let given = all.into_iter().filter(|(flag, _)| flags.contains(*flag));
        given.fold(Self::NONE, |sum, (_, wish)| sum | wish)
    }
}

/// The options that the sender of a message chose, or that its content needs
/// (`SMTPUTF8_FLAG_…`, later `SOPT_…`).
///
/// Postfix 3.10 has renamed the attribute from `smtputf8` to `sendopts`, and given it more bits. Both
/// names are read, and the one that was read is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// The bits.
    pub bits: SendFlags,
    name: &'static str,
}

flags! {
    /// The bits of [`SendOptions`].
    SendFlags {
        /// The sender asked for SMTPUTF8 (RFC 6531).
        UTF8_REQUESTED = 1;
        /// A header field is not ASCII.
        UTF8_HEADER = 2;
        /// The sender's address is not ASCII.
        UTF8_SENDER = 4;
        /// The address of some recipient is not ASCII.
        UTF8_RECIPIENT = 8;
        /// `TLS-Required: no` in the header (RFC 8689).
        TLS_NOT_REQUIRED = 16;
        /// `REQUIRETLS` in MAIL (RFC 8689).
        REQUIRE_TLS = 32;
    }
}

impl SendFlags {
    /// The sender's word about TLS. A demand is not weakened by a waiver beside it.
    pub fn tls_wish(self) -> TlsWish {
        match self {
            _ if self.contains(Self::REQUIRE_TLS) => TlsWish::Required,
            _ if self.contains(Self::TLS_NOT_REQUIRED) => TlsWish::Waived,
            _ => TlsWish::Unsaid,
        }
    }
}

impl SendOptions {
    const RECENT: &'static str = "sendopts";
    const NAME: &'static str = "smtputf8";

    /// Options under the name that Postfix had for them before 3.10.
    pub fn new(bits: SendFlags) -> Self {
        let name = Self::NAME;
        Self { bits, name }
    }
}

impl Default for SendOptions {
    fn default() -> Self {
        Self::new(SendFlags::default())
    }
}

impl List for SendOptions {
    fn read(from: &mut Attributes<'_>) -> Result<Self, Stop> {
        let (name, bits) = from.one_of([Self::RECENT, Self::NAME])?;
        Ok(Self { bits, name })
    }

    fn write(&self, to: &mut Writer) {
        to.attribute(self.name, &self.bits);
    }
}
