//! Address lists of header fields as tokens: reading them, and writing them out
//! again with as little change as possible (RFC 822 and RFC 5322 section 3.4).
//!
//! Nothing is thrown away: what is not understood stays where it was. Postfix:
//! `src/global/tok822_parse.c`, `quote_822_local.c`.

/// A piece of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A special character.
    Operator(char),
    /// Characters without a meaning of their own.
    Atom(String),
    /// What stood between quotes, unquoted.
    Quoted(String),
    /// What stood in brackets, without them.
    Literal(String),
    /// A comment as it was written.
    Comment(String),
    /// The colon behind the name of a group.
    GroupStart,
    /// An address, with its tokens.
    Address(Tokens),
}

/// A row of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// Whether words that follow each other are written with a blank between them.
    /// They are not in an address that was found in a list.
    pub(super) spaced: bool,
}

/// Characters that are tokens of their own. `|`, `%` and `!` are no specials of
/// the standard but of address forms that once were in use.
const OPERATORS: &str = "|%!()<>@,;:\\\".[]";

/// More text than this besides the address is left out, in bytes: some mail
/// systems cannot take it.
const MAX_OTHER: usize = 250;

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Cuts a text into tokens.
pub(super) fn scan(text: &str) -> Tokens {
    let mut rest = text.chars().peekable();
    let mut list = Vec::new();
    while let Some(c) = rest.next() {
        list.push(match c {
            c if is_blank(c) => continue,
            '(' => Token::Comment(comment(&mut rest)),
            '[' => Token::Literal(enclosed(&mut rest, ']')),
            '"' => Token::Quoted(enclosed(&mut rest, '"')),
            c if c != '\\' && OPERATORS.contains(c) => Token::Operator(c),
            c => atom(c, &mut rest),
        });
    }
    Tokens { list, spaced: true }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn comment(rest: &mut Rest<'_>) -> String {
    let mut text = String::from("(");
    let mut level = 1_u32;
    while let Some(c) = rest.next() {
        text.push(c);
        match c {
            '(' => level = level.saturating_add(1),
            ')' if level == 1 => break,
            ')' => level -= 1,
            '\\' => text.extend(rest.next()),
            _ => {}
        }
    }
    text
}

fn enclosed(rest: &mut Rest<'_>, closing: char) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            c if c == closing => break,
            '\\' => text.extend(rest.next().map(unfolded)),
            c => text.push(unfolded(c)),
        }
    }
    text
}

fn atom(first: char, rest: &mut Rest<'_>) -> Token {
    let mut text = String::new();
    let mut next = Some(first);
    while let Some(c) = next {
        if c == '\\' {
            text.extend(rest.next().map(unfolded));
        } else {
            text.push(c);
        }
        next = rest.next_if(|c| *c == '\\' || !(is_blank(*c) || OPERATORS.contains(*c)));
    }
    let special = |c: char| c == ' ' || c.is_ascii_control() || OPERATORS.contains(c);
    if text.contains(special) {
        Token::Quoted(text)
    } else {
        Token::Atom(text)
    }
}

fn unfolded(c: char) -> char {
    if is_blank(c) { ' ' } else { c }
}

/// Reads an address list. Commas that are missing between two addresses are
/// added.
pub(super) fn parse(text: &str) -> Tokens {
    Parser {
        left: scan(text).list,
        ..Parser::default()
    }
    .run()
}

/// Reads a list from right to left, since it is its end that tells whether what
/// was before is a name or an address.
#[derive(Debug, Default)]
struct Parser {
    /// What was not read yet.
    left: Vec<Token>,
    /// What may turn out to be one address, the last token first.
    pending: Vec<Token>,
    /// What is settled, the last token first.
    done: Vec<Token>,
}

/// Whether a comma is put before an address that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comma {
    Added,
    None,
}

impl Parser {
    fn run(mut self) -> Tokens {
        use Token::{Atom, Comment, GroupStart, Literal, Operator, Quoted};
        // Whether a word can belong to the pending address, and whether a colon
        // would begin a group.
        let (mut word, mut group) = (true, false);
        let mut settled = false;
        while let Some(token) = self.left.pop() {
            let at_border = std::mem::take(&mut settled);
            match token {
                Comment(_) => self.done.push(token),
                Operator(';') => {
                    self.settle(Comma::Added);
                    self.done.push(token);
                    (word, group) = (true, true);
                }
                Operator(':') if group => {
                    self.settle(Comma::None);
                    self.done.push(GroupStart);
                    self.pass_over(|token| *token != Operator(','));
                    settled = true;
                }
                Operator('>') => {
                    self.settle(Comma::Added);
                    self.done.push(token);
                    self.route();
                    (word, settled) = (true, true);
                }
                Atom(_) | Quoted(_) | Literal(_) => {
                    if !word {
                        self.settle(Comma::Added);
                    }
                    self.pending.push(token);
                    word = false;
                }
                Operator(',') => {
                    self.settle(Comma::None);
                    self.done.push(token);
                    word = true;
                }
                token => {
                    if at_border {
                        self.done.push(token);
                    } else {
                        self.pending.push(token);
                    }
                    word = true;
                }
            }
        }
        self.settle(Comma::None);
        self.done.reverse();
        Tokens {
            list: self.done,
            spaced: true,
        }
    }

    /// What is pending is an address.
    fn settle(&mut self, comma: Comma) {
        if self.pending.is_empty() {
            return;
        }
        let mut list = std::mem::take(&mut self.pending);
        list.reverse();
        self.done.push(Token::Address(Tokens {
            list,
            spaced: false,
        }));
        if comma == Comma::Added {
            self.done.push(Token::Operator(','));
        }
    }

    /// Behind `>`: the address before it, and the name before that.
    fn route(&mut self) {
        while let Some(token) = self.left.pop_if(|token| *token != Token::Operator('<')) {
            match token {
                Token::Comment(_) => self.done.push(token),
                _ => self.pending.push(token),
            }
        }
        self.settle(Comma::None);
        self.pass_over(|token| !matches!(token, Token::Operator('>' | ';' | ',' | ':')));
    }

    fn pass_over(&mut self, which: impl Fn(&Token) -> bool) {
        while let Some(token) = self.left.pop_if(|token| which(token)) {
            self.done.push(token);
        }
    }
}

impl Tokens {
    /// The tokens in internal form: nothing is quoted.
    pub(super) fn internal(&self) -> String {
        let mut out = String::new();
        for (at, token) in self.list.iter().enumerate() {
            match token {
                Token::Operator(c) => out.push(*c),
                Token::Atom(text) | Token::Quoted(text) | Token::Comment(text) => {
                    out.push_str(text);
                }
                Token::Literal(text) => out.extend(["[", text, "]"]),
                Token::GroupStart => out.push(':'),
                Token::Address(tokens) => out.push_str(&tokens.internal()),
            }
            self.space(at, &mut out);
        }
        out
    }

    /// The tokens in external form: what needs quotes has them.
    pub(super) fn external(&self) -> String {
        let mut out = String::new();
        for at in 0..self.list.len() {
            self.write(at, &mut out);
        }
        out
    }

    /// An address list in external form, each comma followed by a line end.
    /// Second, whether text around an address was left out, since there was too
    /// much of it.
    pub(super) fn external_lines(&self) -> (String, bool) {
        let (mut out, mut stripped) = (String::new(), false);
        let mut part = String::new();
        let mut address: Option<String> = None;
        for at in 0..=self.list.len() {
            let token = self.list.get(at);
            if let None | Some(Token::Operator(',')) = token {
                let len = address.as_ref().map_or(part.len(), String::len);
                if let Some(address) = address.take().filter(|_| part.len() - len > MAX_OTHER) {
                    stripped = true;
                    part = format!("<{address}>");
                }
                out.push_str(&std::mem::take(&mut part));
                out.push_str(if token.is_some() { ",\n" } else { "" });
                continue;
            }
            match token {
                Some(Token::Address(tokens)) => address = Some(quote(&tokens.internal())),
                Some(Token::Operator('<'))
                    if self.list.get(at + 1) == Some(&Token::Operator('>')) =>
                {
                    address = Some(String::new());
                }
                _ => {}
            }
            self.write(at, &mut part);
        }
        (out, stripped)
    }

    fn write(&self, at: usize, out: &mut String) {
        match self.list.get(at) {
            Some(Token::Operator(',')) => return out.push_str(", "),
            Some(Token::Operator(c)) => out.push(*c),
            Some(Token::Atom(text) | Token::Comment(text)) => out.push_str(text),
            Some(Token::Quoted(text)) => {
                let special = |c| matches!(c, '"' | '\\' | '\r' | '\n');
                out.extend(["\"", &escaped(text, special), "\""]);
            }
            Some(Token::Literal(text)) => {
                let special = |c| matches!(c, '\\' | '\r' | '\n');
                out.extend(["[", &escaped(text, special), "]"]);
            }
            Some(Token::GroupStart) => out.push(':'),
            Some(Token::Address(tokens)) => out.push_str(&quote(&tokens.internal())),
            None => {}
        }
        self.space(at, out);
    }

    /// Puts a blank behind a token where two words would run together, and where
    /// it is usual.
    fn space(&self, at: usize, out: &mut String) {
        let is_word = |token: &Token| !matches!(token, Token::Operator(_) | Token::GroupStart);
        if self.spaced
            && let (Some(token), Some(next)) = (self.list.get(at), self.list.get(at + 1))
            && (matches!(token, Token::Operator(',') | Token::GroupStart)
                || *next == Token::Operator('<')
                || (is_word(token) && is_word(next)))
        {
            out.push(' ');
        }
    }
}

fn escaped(text: &str, special: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An address with its local part in quotes if that is needed in a header field.
pub(super) fn quote(address: &str) -> String {
    let route = match address.starts_with('@') {
        true => address.find(':').map_or(0, |colon| colon + 1),
        false => 0,
    };
    let (route, mailbox) = address.split_at_checked(route).unwrap_or(("", address));
    let end = mailbox.rfind('@').unwrap_or(mailbox.len());
    let (local, domain) = mailbox.split_at_checked(end).unwrap_or((mailbox, ""));
    let special = |c: char| c == ' ' || c.is_ascii_control() || "()<>@,;:\\\"[]".contains(c);
    if !local.is_empty() && !local.contains(special) && local.split('.').all(|s| !s.is_empty()) {
        return address.to_owned();
    }
    let local = escaped(local, |c| matches!(c, '"' | '\\' | '\r'));
    format!("{route}\"{local}\"{domain}")
}

/// An address with the quotes around its local part, or parts of it, taken off.
pub(super) fn unquote(address: &str) -> String {
    let route = match address.starts_with('@') {
        true => address.find(':').map_or(0, |colon| colon + 1),
        false => 0,
    };
    let (route, mailbox) = address.split_at_checked(route).unwrap_or(("", address));
    let mut out = String::from(route);
    // Where the domain begins, in `out` and in `mailbox`.
    let mut domain = None;
    let mut quoted = false;
    let mut chars = mailbox.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => {
                if c == '@' && !quoted {
                    domain = Some((out.len(), at));
                }
                out.push(c);
            }
        }
    }
    if let Some((local, at)) = domain {
        out.truncate(local);
        out.push_str(mailbox.get(at..).unwrap_or_default());
    }
    out
}
