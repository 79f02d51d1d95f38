//! The settings of the message text and of addresses.

use smtp_proto::command::HelloName;

use crate::tables::{Maps, MatchList};

/// The message text and the addresses on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Content {
    /// Names and addresses beyond ASCII are supported (`smtputf8_enable`).
    pub smtputf8: bool,
    /// Local parts are quoted where RFC 5321 asks for it (`smtp_quote_rfc821_envelope`).
    pub quote_envelope: bool,
    /// 8-bit text is converted for servers without 8BITMIME (`disable_mime_output_conversion`).
    pub convert: bool,
    /// Checks of header fields of the message (`smtp_header_checks`).
    pub header_checks: Maps,
    /// Checks of MIME header fields (`smtp_mime_header_checks`).
    pub mime_header_checks: Maps,
    /// Checks of header fields of attached messages (`smtp_nested_header_checks`).
    pub nested_header_checks: Maps,
    /// Checks of lines of bodies (`smtp_body_checks`).
    pub body_checks: Maps,
    /// Addresses of this place as the world knows them (`smtp_generic_maps`).
    pub generic: Maps,
    /// The completion and look-up of addresses.
    pub rewriting: Rewriting,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            smtputf8: true,
            quote_envelope: true,
            convert: true,
            header_checks: Maps::default(),
            mime_header_checks: Maps::default(),
            nested_header_checks: Maps::default(),
            body_checks: Maps::default(),
            generic: Maps::default(),
            rewriting: Rewriting::default(),
        }
    }
}

/// The completion of addresses, and their look-up in tables.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewriting {
    /// Domains of this machine, whose addresses may match by their local part alone (`mydestination`).
    pub destinations: MatchList,
    /// The characters between a user name and its extension (`recipient_delimiter`).
    pub delimiters: String,
    /// An extension that the key did not contain is added to the result of generic maps
    /// (`propagate_unmatched_extensions`).
    pub propagate_extension: bool,
    /// The domain of addresses without one (`myorigin`, if `append_at_myorigin`).
    pub origin: Option<HelloName>,
    /// The suffix of domains without a dot (`mydomain`, if `append_dot_mydomain`).
    pub domain: Option<HelloName>,
    /// `host!user` is `user@host` (`swap_bangpath`).
    pub swap_bangpath: bool,
    /// `user%domain` is `user@domain` (`allow_percent_hack`).
    pub percent_hack: bool,
}

impl Default for Rewriting {
    /// Postfix's defaults, but that nothing is completed.
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            delimiters: String::new(),
            propagate_extension: false,
            origin: None,
            domain: None,
            swap_bangpath: true,
            percent_hack: true,
        }
    }
}
