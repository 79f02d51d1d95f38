//! Undoes quoted-printable (RFC 2045 section 6.7), for the judges of what a client has
//! encoded. It takes what a client may write, and nothing else.

/// The longest line.
const LINE: usize = 76;

/// The text that quoted-printable lines stand for, with LF line ends.
///
/// # Errors
/// What is no quoted-printable text, in words.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if !line.is_ascii() {
            return Err("8-bit text is left");
        }
        if line.len() > LINE {
            return Err("a line is too long");
        }
        let soft = line.strip_suffix(b"=");
        unquote(soft.unwrap_or(line), &mut decoded);
        decoded.extend(soft.is_none().then_some(b'\n'));
    }
    Ok(decoded)
}

/// Undoes `=XX`.
fn unquote(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((byte, behind)) = rest.split_first() {
        let code = behind
            .split_at_checked(2)
            .filter(|_| *byte == b'=')
            .and_then(|(code, after)| Some((std::str::from_utf8(code).ok()?, after)))
            .and_then(|(code, after)| Some((u8::from_str_radix(code, 16).ok()?, after)));
        match code {
            Some((decoded, after)) => {
                out.push(decoded);
                rest = after;
            }
            None => {
                out.push(*byte);
                rest = behind;
            }
        }
    }
}
