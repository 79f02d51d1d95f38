//! Message texts that are hard on whoever sends them.

use bytes::Bytes;

use crate::dice::Dice;

/// What a text of 8-bit characters says of itself.
const EIGHT_BIT: &str = "MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
";

/// A text with LF line ends, of at most `most` bytes, sometimes without a final LF, and
/// whether it has 8-bit characters. Its first line names the message.
pub(super) fn text(number: usize, dice: &mut Dice, most: usize) -> (Bytes, bool) {
    let eight_bit = dice.once_in(6);
    let declared = if eight_bit { EIGHT_BIT } else { "" };
    let head = format!("Subject: message {number}\nX-Letter: {number}\n{declared}\n");
    let mut text = head.into_bytes();
    let lines = match dice.below(200) {
        0 => 300 + dice.count(1_200),
        1..=30 => 0,
        31..=40 => 1 + dice.count(100),
        _ => 1 + dice.count(10),
    };
    for _ in 0..lines {
        if eight_bit {
            text.extend_from_slice("größer = ".as_bytes());
        }
        line(&mut text, dice);
    }
    if dice.once_in(4) {
        text.pop();
    }
    text.truncate(most.max(1));
    let eight_bit = !text.is_ascii();
    (Bytes::from(text), eight_bit)
}

fn line(text: &mut Vec<u8>, dice: &mut Dice) {
    const LINES: [&[u8]; 8] = [
        b"..\n",
        b".\n",
        b"\n",
        b".leading\n",
        b"trailing.\n",
        b"...\n",
        b"QUIT\n",
        b"x\r.\ry\n",
    ];
    const WORDS: &[u8; 64] = b"The quick brown fox jumps over the lazy dog. 0123456789.abcdefgh";
    let length = match dice.below(16) {
        at @ 0..=7 => {
            let line = usize::try_from(at).ok().and_then(|at| LINES.get(at));
            return text.extend_from_slice(line.copied().unwrap_or_default());
        }
        8 => 900 + dice.count(2_200),
        9 => dice.one_of(40, &[39, 41, 80, 998, 999, 997, 1996]),
        _ => dice.count(80),
    };
    let from = dice.count(WORDS.len());
    let row = WORDS.repeat(2 + length / WORDS.len());
    text.extend_from_slice(row.get(from..from + length).unwrap_or_default());
    text.push(b'\n');
}
