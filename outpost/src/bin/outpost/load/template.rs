//! Addresses with the numbers of messages and recipients in them.

use smtp_proto::address::Address;

use outpost::address;

/// The number of the message.
const MESSAGE: &str = "{m}";
/// The number of the recipient in its message.
const RECIPIENT: &str = "{r}";

/// An address that may hold numbers.
#[derive(Clone, Debug)]
pub(super) enum Template {
    /// The same for all messages and recipients.
    Fixed(Address),
    /// The address of each is made of this.
    Numbered(String),
}

impl Template {
    /// Reads an address. Where there are several recipients and it does not tell them
    /// apart, their number goes before the `@`.
    ///
    /// # Errors
    /// It is no address, or holds braces that mean nothing.
    pub(super) fn new(text: &str, several: bool) -> Result<Self, String> {
        let text = match several && !text.contains(RECIPIENT) {
            true => numbered(text),
            false => text.to_owned(),
        };
        let sample = fill(&text, 1, 1);
        if let Some(at) = sample.find(['{', '}']) {
            let rest: String = sample.chars().skip(at).take(10).collect();
            return Err(format!("'{rest}' means nothing: there are {{m}} and {{r}}"));
        }
        let address = address::parse(&sample).map_err(|why| why.to_string())?;
        Ok(match text.contains(MESSAGE) || text.contains(RECIPIENT) {
            true => Self::Numbered(text),
            false => Self::Fixed(address),
        })
    }

    /// The address for a message and a recipient in it. What was an address with 1 as the
    /// number is one with any other.
    pub(super) fn address(&self, message: u64, recipient: u64) -> Result<Address, String> {
        match self {
            Self::Fixed(address) => Ok(address.clone()),
            Self::Numbered(text) => {
                address::parse(&fill(text, message, recipient)).map_err(|why| why.to_string())
            }
        }
    }
}

/// The number of the recipient before the last `@`, or at the end.
fn numbered(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{local}{RECIPIENT}@{domain}"),
        None => format!("{text}{RECIPIENT}"),
    }
}

fn fill(text: &str, message: u64, recipient: u64) -> String {
    text.replace(MESSAGE, &message.to_string())
        .replace(RECIPIENT, &recipient.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(text: &str, several: bool) -> String {
        let template = Template::new(text, several).unwrap();
        template.address(12, 3).unwrap().as_str().to_owned()
    }

    #[test]
    fn numbers_take_their_places() {
        assert_eq!(made("a@x", false), "a@x");
        assert_eq!(made("a@x", true), "a3@x");
        assert_eq!(made("joe", true), "joe3");
        assert_eq!(made("a{m}.{r}@x{m}", true), "a12.3@x12");
        assert_eq!(made("a{m}@x", false), "a12@x");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "@x", "a b@x", "a{n}@x", "a{m@x", "a@x\r\nDATA"] {
            assert!(Template::new(text, false).is_err(), "{text:?}");
        }
        let error = Template::new("a{n}@x", false).unwrap_err();
        assert!(error.contains("{n}@x"), "{error}");
    }
}
