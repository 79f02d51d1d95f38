//! Bytes as text, for tables that are asked with bytes: those of header and body
//! checks, whose keys are in no particular encoding.
//!
//! Each byte is the character of that number, in keys, in results, and in the
//! tables themselves. So `.` in a pattern is one byte, and `[\x80-\xff]` is any byte
//! that is not ASCII, as in Postfix, which reads UTF-8 in other tables only.

/// The characters that stand for some bytes.
pub fn widen(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes that some characters stand for. Others, which a table of the
/// consumer's own may have, are themselves in UTF-8.
pub fn narrow(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The same, where the bytes are UTF-8 text.
pub fn narrow_text(text: &str) -> String {
    String::from_utf8_lossy(&narrow(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(narrow(&widen(&bytes)), bytes);
        assert_eq!(narrow_text(&widen("Grüße 日".as_bytes())), "Grüße 日");
        assert_eq!(narrow("日"), "日".as_bytes());
    }
}
