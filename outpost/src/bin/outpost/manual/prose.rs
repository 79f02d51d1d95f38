//! The text behind the options of a help page, as sections of a manual page. It is laid
//! out for a screen, and its layout says what is what: a paragraph begins at the margin, a
//! list has a term and two blanks, an example is indented.

use clap_mangen::roff::{Roff, bold, roman};

/// A stretch of text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// A section begins.
    Heading(&'static str),
    /// A paragraph of words that may be broken anew.
    Paragraph(String),
    /// An entry of a list.
    Item(String, String),
    /// Lines that stay as they are.
    Lines(Vec<String>),
}

/// The sections of a text.
pub(super) fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut begun = false;
    for piece in pieces(text) {
        if !begun && !matches!(piece, Piece::Heading(_)) {
            roff.control("SH", ["NOTES"]);
        }
        begun = true;
        match piece {
            Piece::Heading(name) => {
                roff.control("SH", [name]);
            }
            Piece::Paragraph(words) => {
                roff.control("PP", []).text([roman(words)]);
            }
            Piece::Item(term, words) => {
                roff.control("TP", []);
                roff.text([bold(term)]).text([roman(words)]);
            }
            Piece::Lines(lines) => {
                roff.control("PP", []).control("nf", []);
                for line in lines {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []);
            }
        }
    }
    roff
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut in_examples = false;
    let mut fresh = true;
    for line in text.lines() {
        let words = line.trim();
        if let Some(name) = heading(line) {
            in_examples = name == "EXAMPLES";
            pieces.push(Piece::Heading(name));
            fresh = true;
            continue;
        }
        if words.is_empty() {
            fresh = true;
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let wants_lines = if in_examples { 4 } else { 2 };
        let piece = if let Some((term, words)) = item(line).filter(|_| !in_examples) {
            Piece::Item(term.to_owned(), words.to_owned())
        } else if let (Some(Piece::Item(_, said)), false, 6..) = (pieces.last_mut(), fresh, indent)
        {
            said.push(' ');
            said.push_str(words);
            continue;
        } else if indent >= wants_lines || (in_examples && words.starts_with("outpost ")) {
            let kept = line.get(wants_lines..).filter(|_| indent >= wants_lines);
            let kept = kept.unwrap_or(words).to_owned();
            if let (Some(Piece::Lines(lines)), false) = (pieces.last_mut(), fresh) {
                lines.push(kept);
                continue;
            }
            Piece::Lines(vec![kept])
        } else if let (Some(Piece::Paragraph(said)), false) = (pieces.last_mut(), fresh) {
            said.push(' ');
            said.push_str(words);
            continue;
        } else {
            Piece::Paragraph(words.to_owned())
        };
        pieces.push(piece);
        fresh = false;
    }
    pieces
}

/// The section that a line begins.
fn heading(line: &str) -> Option<&'static str> {
    match line {
        "Examples:" => Some("EXAMPLES"),
        _ if line.starts_with("Exit status") && line.ends_with(':') => Some("EXIT STATUS"),
        _ => None,
    }
}

/// A term with its explanation; a remark behind a line of a file is none.
fn item(line: &str) -> Option<(&str, &str)> {
    let words = line.trim();
    let indent = line.len() - line.trim_start().len();
    let (term, rest) = words.split_once("  ")?;
    let rest = rest.trim_start();
    ((1..=4).contains(&indent) && !rest.starts_with('#')).then_some((term, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_a_help_text_says_what_is_what() {
        let text = "\
Words of two
lines.

  key       what it
            is
  [a file]
  x = 1     # why

Exit status (sysexits.h):
   0  fine
 130  not
Of both.

Examples:
  Do it:
    outpost it \\
        --now
  outpost short
";
        let paragraph = |words: &str| Piece::Paragraph(words.into());
        let item = |term: &str, words: &str| Piece::Item(term.into(), words.into());
        let lines = |lines: &[&str]| Piece::Lines(lines.iter().map(|&l| l.into()).collect());
        assert_eq!(
            pieces(text),
            [
                paragraph("Words of two lines."),
                item("key", "what it is"),
                lines(&["[a file]", "x = 1     # why"]),
                Piece::Heading("EXIT STATUS"),
                item("0", "fine"),
                item("130", "not"),
                paragraph("Of both."),
                Piece::Heading("EXAMPLES"),
                paragraph("Do it:"),
                lines(&["outpost it \\", "    --now", "outpost short"]),
            ]
        );
    }
}
