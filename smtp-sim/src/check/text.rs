//! Text as it was received against text as it was sent.

use crate::quoted;

/// What stands for 8-bit text that was converted to 7-bit.
const QUOTED: &[u8] = b"Content-Transfer-Encoding: quoted-printable";
/// The longest line of such text; where lines have to be shorter, they are broken, and
/// nobody can undo that.
const QUOTED_LINE: usize = 76;

/// Whether `received` is `sent` after all that a client may do to it: conversion to
/// quoted-printable, and what [`same_text`] undoes.
pub(super) fn same_message(sent: &[u8], received: &[u8], limit: usize) -> Result<(), String> {
    if sent.is_ascii() || !received.is_ascii() {
        return same_text(sent, received, limit);
    }
    if (1..QUOTED_LINE).contains(&limit) {
        return Ok(());
    }
    let (head, body) = parts(sent);
    let (other_head, other_body) = parts(received);
    let mut lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    for line in lines.iter_mut().filter(|line| line.ends_with(b": 8bit")) {
        *line = QUOTED;
    }
    lines.sort_unstable();
    let mut others: Vec<&[u8]> = other_head.split(|byte| *byte == b'\n').collect();
    others.sort_unstable();
    if lines != others {
        return Err("the header is different".to_owned());
    }
    let decoded = quoted::decode(other_body)?;
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    match decoded.strip_suffix(b"\n") == Some(body) {
        true => Ok(()),
        false => Err("the converted text is different".to_owned()),
    }
}

/// A text in which CR LF ends a line too, and a blank is for every other CR.
pub(super) fn without_stray_cr(text: &[u8]) -> Vec<u8> {
    let mut pieces = text.split(|byte| *byte == b'\r');
    let mut out = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        if !piece.starts_with(b"\n") {
            out.push(b' ');
        }
        out.extend_from_slice(piece);
    }
    out
}

/// Header and body of a message.
fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = text.split_at(end.unwrap_or(text.len()));
    (head, body.get(2..).unwrap_or_default())
}

/// Whether `received` is `sent` after all that a client may do to it: an unended
/// last line is ended, and a line longer than `limit` (if not zero) is folded by
/// CRLF and a blank.
fn same_text(sent: &[u8], received: &[u8], limit: usize) -> Result<(), String> {
    let mut lines = received.split_inclusive(|byte| *byte == b'\n');
    let sent = sent.strip_suffix(b"\n").unwrap_or(sent);
    for (number, line) in sent.split(|byte| *byte == b'\n').enumerate() {
        let mut rest = line;
        let mut first = true;
        loop {
            let got = lines.next().ok_or("the end is missing")?;
            let got = got.strip_suffix(b"\n").unwrap_or(got);
            if limit > 0 && got.len() > limit + 1 {
                return Err(format!("line {number} is too long: {}", got.len()));
            }
            let part = match first {
                true => Some(got),
                false => got.strip_prefix(b" "),
            };
            let left = part.and_then(|part| rest.strip_prefix(part));
            let Some(left) = left else {
                return Err(format!("line {number} is different: {}", shown(got)));
            };
            first = false;
            rest = left;
            if rest.is_empty() {
                break;
            }
            if limit == 0 || got.len() < limit {
                return Err(format!("line {number} is cut short: {}", shown(got)));
            }
        }
    }
    match lines.next() {
        None | Some(b" \n") => Ok(()),
        Some(more) => Err(format!("there is more: {}", shown(more))),
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..line.len().min(60)).unwrap_or_default())
        .escape_debug()
        .to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_may_do_leaves_a_text_the_same() {
        same_text(b"a\n.\nb", b"a\n.\nb\n", 998).unwrap();
        same_text(b"12345678\n", b"1234\n 5678\n", 4).unwrap();
        same_text(b"", b"\n", 0).unwrap();
        for wrong in [
            &b"a\n.\n"[..],
            b"a\n\nb\n",
            b"a\n.\nb\nc\n",
            b"a\n..\nb\n",
            b"a\n .\nb\n",
        ] {
            assert!(same_text(b"a\n.\nb\n", wrong, 998).is_err());
        }
        assert!(same_text(b"12345678\n", b"123\n 45678\n", 4).is_err());
    }

    #[test]
    fn converted_text_is_the_same_and_other_text_is_not() {
        let head = "Subject: x\nContent-Transfer-Encoding: ";
        let sent = format!("{head}8bit\n\ngr\u{fc}n\n.\n");
        let received = |body: &str| format!("{head}quoted-printable\n\n{body}");
        let judge =
            |received: String| same_message(sent.as_bytes(), received.as_bytes(), 998).is_ok();
        assert!(judge(sent.clone()));
        assert!(judge(received("gr=C3=BCn\n.\n")));
        assert!(judge(received("gr=C3=BC=\nn\n.\n")));
        for wrong in ["gr=C3=BC\n.\n", "gr=C3=BCn\n", "gr=C3=BCn\n..\n"] {
            assert!(!judge(received(wrong)), "{wrong}");
        }
        assert!(!judge(format!("{head}8bit\n\ngr=C3=BCn\n.\n")));
    }
}
