//! What becomes of the message text, and of the addresses in it, on the way to
//! the server. It is not the session, which only puts lines into their form on
//! the wire, and it never holds a whole message.
//!
//! ```text
//!  source ─▶ added fields ─▶ MIME reader ─▶ checks ─▶ generic maps ─▶ session
//!                             (and 7bit)
//! ```
//!
//! Postfix: the content part of `src/smtp/smtp_proto.c`.

mod canonical;
mod checks;
mod generic;
mod inserted;
mod pipe;
mod raw;
pub(crate) mod settings;
#[cfg(test)]
mod tests;
mod tokens;

use smtp_proto::mime::{Header, HeaderClass, HeaderRole, MimeOptions};

use self::checks::CheckMaps;
use self::settings::Content;
pub(crate) use self::{
    generic::{AddressMapping, Generic, Lookup},
    inserted::{Fold, LoopCheck, LoopState, TraceAddresses, inserted_fields},
    pipe::{Pipe, PipeFailure, PipeStep, STEPS_AT_ONCE},
};
use crate::{Protocol, local::LocalDomains, tables::Maps};

/// What is done with the content of all messages of a client.
#[derive(Debug, Default)]
pub(crate) struct ContentRules {
    primary: CheckMaps,
    mime: CheckMaps,
    nested: CheckMaps,
    body: CheckMaps,
    /// The generic maps, if there are any.
    pub(crate) generic: Option<Generic>,
    limits: MimeOptions,
}

impl ContentRules {
    /// The rules that follow from settings.
    pub(crate) fn new(
        protocol: Protocol,
        content: &Content,
        limits: MimeOptions,
        local: LocalDomains,
    ) -> Self {
        let checks = |name: &str, maps: &Maps| CheckMaps {
            parameter: format!("{protocol}_{name}"),
            maps: maps.clone(),
        };
        Self {
            primary: checks("header_checks", &content.header_checks),
            mime: checks("mime_header_checks", &content.mime_header_checks),
            nested: checks("nested_header_checks", &content.nested_header_checks),
            body: checks("body_checks", &content.body_checks),
            generic: (!content.generic.is_empty()).then(|| Generic::new(protocol, content, local)),
            limits,
        }
    }

    /// How the text is read as a message; `None` if it need not be.
    fn reading(&self, convert: bool) -> Option<MimeOptions> {
        let checks = [&self.primary, &self.mime, &self.nested, &self.body];
        let checked = checks.iter().any(|checks| !checks.maps.is_empty());
        let options = MimeOptions {
            structure: convert || checked,
            convert,
            ..self.limits
        };
        (options.structure || self.generic.is_some()).then_some(options)
    }

    /// The checks for a header field. A field about MIME is one wherever it is.
    fn header_checks(&self, header: &Header) -> &CheckMaps {
        let mime = header
            .known
            .is_some_and(|known| known.role == HeaderRole::Mime);
        match header.class {
            _ if mime => &self.mime,
            HeaderClass::Primary => &self.primary,
            HeaderClass::Multipart => &self.mime,
            HeaderClass::Nested => &self.nested,
        }
    }
}
