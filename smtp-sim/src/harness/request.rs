//! Requests: texts of anybody's making, flags, and what tables answer, against a server
//! that counts.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use postfix_config::{MainCf, compile};
use smtp_policy::{
    Protocol,
    delivery::{Delivery, TableQuery},
    dns::{Answer, Failure, Query, QueryKind, Record, RecordData, ResolverConfig},
    policy::Policy,
    report::Status,
    request::{
        ClientInfo, ClientSource, ClientValue, DeliveryFlags, EnvelopeId, Nexthop, Orcpt,
        OriginalRecipient, QueueId, Recipient, Request, TextError,
    },
};
use smtp_proto::{Address, ReversePath};

use super::{
    read,
    toy::{Seen, Surroundings, drive},
};

/// All tables that are asked outside of the engine, with names of their own.
const MAIN_CF: &str = "myhostname = client.example\n\
    smtp_randomize_addresses = no\n\
    smtp_host_lookup = dns\n\
    smtp_send_xforward_command = yes\n\
    smtp_sasl_auth_enable = yes\n\
    smtp_sasl_security_options =\n\
    smtp_tls_security_level = may\n\
    smtp_generic_maps = external:generic\n\
    smtp_header_checks = external:header\n\
    smtp_body_checks = external:body\n\
    smtp_delivery_status_filter = external:status\n\
    smtp_tls_policy_maps = external:policies\n\
    smtp_sasl_password_maps = external:passwords\n\
    smtp_pix_workaround_maps = external:pix\n\
    smtp_discard_ehlo_keyword_address_maps = external:keywords\n";
/// The names of the tables of [`MAIN_CF`]. Each speaks as often as a bit says so.
const TABLES: [&str; 8] = [
    "generic",
    "header",
    "body",
    "status",
    "policies",
    "passwords",
    "pix",
    "keywords",
];

/// The message, with all that a text can do to what comes after it.
const TEXT: &[u8] = b"From: from@example.org\nSubject: x\n\n.\nMAIL FROM:<a@b>\n..\nend\n";
/// The text that the server got when it is as given.
const RECEIVED: &str =
    "From: from@example.org\r\nSubject: x\r\n\r\n..\r\nMAIL FROM:<a@b>\r\n...\r\nend\r\n";

const HELLO: &[u8] =
    b"250-mx\r\n250-DSN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-AUTH PLAIN LOGIN\r\n\
    250-PIPELINING\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n";

thread_local! {
    static POLICY: Option<Arc<Policy>> = policy();
}

fn policy() -> Option<Arc<Policy>> {
    let main_cf = MainCf::parse(MAIN_CF, "main.cf", "/nowhere".as_ref()).ok()?;
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).ok()?;
    Some(Arc::new(policy))
}

/// The content of an input.
struct Case<'a> {
    /// Bits: `D`, `O`, `R`, XFORWARD, DSN data; three of how the server takes it.
    flags: u8,
    /// Which tables speak, a bit each from the lowest on.
    tables: u16,
    /// The texts, in turn: ten of the request, then the tables.
    words: Vec<&'a str>,
}

/// Texts for a request and for the answers of tables, separated by `FF`, behind a byte
/// of flags and two that say which tables speak.
///
/// A request whose texts are refused is none. Any other is one transaction at most, with the
/// addresses that tables gave, with no header field but those that were asked for by flags or
/// a table, and with all of the message where no table has a say in it. Whatever goes
/// into the log or a report is one line without control characters.
///
/// # Panics
/// One of these does not hold.
pub fn request(input: &[u8]) {
    is_delivered(input);
}

/// Returns whether an input of [`request`] is a request that is delivered.
///
/// # Panics
/// As there.
pub fn is_delivered(input: &[u8]) -> bool {
    let policy = POLICY.with(Clone::clone);
    assert!(policy.is_some(), "the configuration of the target is bad");
    let case = read::<Case<'_>>(input);
    let request = case.as_ref().and_then(|case| case.request().ok());
    let (Some(case), Some(request), Some(policy)) = (case, request, policy) else {
        return false;
    };
    let seen = case.deliver(Delivery::new(request.clone(), policy, 7));
    case.check(&request, &seen);
    let mut outcomes = seen.outcomes.values();
    outcomes.all(|outcome| outcome.status == Status::Sent)
}

impl<'a> Arbitrary<'a> for Case<'a> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (flags, tables) = (bytes.arbitrary()?, bytes.arbitrary()?);
        let rest = bytes.bytes(bytes.len())?;
        let words = rest.split(|byte| *byte == 0xff);
        // What is not UTF-8 never becomes a text.
        let word = |word: &'a [u8]| match std::str::from_utf8(word) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(word.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default(),
        };
        Ok(Self {
            flags,
            tables,
            words: words.map(word).collect(),
        })
    }
}

impl Case<'_> {
    fn flag(&self, bit: u8) -> bool {
        self.flags >> bit & 1 == 1
    }

    /// The words from the first on; words that are not there are empty.
    fn word(&self, number: usize) -> &str {
        self.words.get(number).copied().unwrap_or_default()
    }

    /// The request, if its texts are such that there can be one. An empty text is none.
    fn request(&self) -> Result<Request, Box<dyn std::error::Error>> {
        let or = |number, other: &'static str| match self.word(number) {
            "" => other.to_owned(),
            word => word.to_owned(),
        };
        let mut to = Recipient::new(Address::parse(&or(0, "to@example.com"))?);
        let sender = ReversePath::parse(self.word(1))?;
        to.original = optional(self.word(2), OriginalRecipient::parse)?;
        let nexthop = Nexthop::parse(or(3, "example.com"))?;
        if self.flag(4) {
            to.orcpt = Some(Orcpt::new(or(4, "rfc822"), self.word(5))?);
        }
        let mut request = Request::new(Protocol::Smtp, nexthop, sender, vec![to]);
        request.id = QueueId::parse(self.word(6))?;
        request.envid = optional(self.word(7), EnvelopeId::parse)?;
        request.flags = DeliveryFlags {
            delivered_to: self.flag(0),
            original_to: self.flag(1),
            return_path: self.flag(2),
            final_delivery: false,
        };
        if self.flag(3) {
            let (one, other) = (self.word(8), self.word(9));
            request.client = Some(ClientInfo {
                name: ClientValue::parse(one)?,
                address: ClientValue::parse(other)?,
                port: ClientValue::parse(one)?,
                proto: ClientValue::parse(other)?,
                helo: ClientValue::parse(one)?,
                ident: ClientValue::parse(other)?,
                source: Some(ClientSource::Remote),
            });
        }
        Ok(request)
    }

    fn speaks(&self, table: &str) -> bool {
        let at = TABLES.iter().position(|name| *name == table);
        at.is_some_and(|at| self.tables >> at & 1 == 1)
    }

    fn deliver(&self, mut job: Delivery) -> Seen {
        let mut turn = 10;
        let mut look_up = |query: &TableQuery| {
            let table = query
                .table
                .strip_prefix("external:")
                .unwrap_or(&query.table);
            if !self.speaks(table) {
                return None;
            }
            let answer = self.word(turn).to_owned();
            turn = if turn + 1 < self.words.len() {
                turn + 1
            } else {
                10
            };
            Some(answer)
        };
        let refuses = |bit: u8, word: &[u8]| match self.flag(bit) {
            true => b"550 5.1.1 no\x1b[2J\xc2\x9b\r\n".to_vec(),
            false => word.to_vec(),
        };
        let mut in_text = false;
        let mut reply = |line: &[u8]| {
            if in_text {
                in_text = line != b".\r\n";
                let said = if in_text {
                    Vec::new()
                } else {
                    refuses(7, b"250 kept\r\n")
                };
                return Some(said);
            }
            Some(match line.split(|byte| b" \r".contains(byte)).next()? {
                b"" => b"220 mx ESMTP\r\n".to_vec(),
                b"EHLO" => HELLO.to_vec(),
                b"AUTH" => b"235 in\r\n".to_vec(),
                b"RCPT" => refuses(5, b"250 ok\r\n"),
                b"DATA" if self.flag(5) || self.flag(6) => b"451 later\r\n".to_vec(),
                b"DATA" => {
                    in_text = true;
                    b"354 go\r\n".to_vec()
                }
                b"QUIT" => return None,
                _ => b"250 ok\r\n".to_vec(),
            })
        };
        let mut around = Surroundings {
            resolve: &mut answer,
            look_up: &mut look_up,
            reply: &mut reply,
            text: Bytes::from_static(TEXT),
        };
        drive(&mut job, &mut around)
    }

    fn check(&self, request: &Request, seen: &Seen) {
        let is_line = |text: &str| !text.contains(char::is_control);
        for note in &seen.notes {
            assert!(is_line(note), "a note is no line: {note:?}");
        }
        for outcome in seen.outcomes.values() {
            let lines = is_line(&outcome.text) && is_line(&outcome.relay.to_string());
            assert!(lines, "a verdict is no line: {outcome:?}");
        }
        for written in &seen.written {
            let wire = String::from_utf8_lossy(written);
            self.check_wire(request, &wire);
        }
    }

    /// One connection: what may be on it, in this order, and nothing else.
    fn check_wire(&self, request: &Request, wire: &str) {
        let (commands, rest) = wire.split_once("\r\nDATA\r\n").unwrap_or((wire, ""));
        let mut verbs: Vec<&str> = commands.split_terminator("\r\n").map(verb).collect();
        let logs_in = self.speaks("passwords");
        verbs.retain(|verb| !(*verb == "AUTH" && logs_in));
        let forwards = verbs.iter().filter(|verb| **verb == "XFORWARD").count();
        assert!(forwards <= 2 && (forwards == 0 || self.flag(3)), "{wire:?}");
        verbs.retain(|verb| *verb != "XFORWARD");
        verbs.retain(|verb| !matches!(*verb, "QUIT" | "RSET"));
        let course = ["EHLO", "MAIL", "RCPT"];
        assert!(course.starts_with(&verbs), "{wire:?}");
        if self.flag(5) || self.flag(6) {
            let over = [
                "",
                "QUIT\r\n",
                "RSET\r\n",
                "RSET\r\nQUIT\r\n",
                ".\r\nQUIT\r\n",
            ];
            assert!(over.contains(&rest), "a text that nobody wants: {wire:?}");
        } else if !rest.is_empty() {
            self.check_text(request, rest);
        }
    }

    /// The text behind DATA: the fields that were asked for, and the message.
    fn check_text(&self, request: &Request, rest: &str) {
        let (text, after) = match rest.split_once("\r\n.\r\n") {
            Some((text, after)) => (format!("{text}\r\n"), after),
            // A table has stopped it.
            None => return assert!(self.speaks_of_text(), "a text without end: {rest:?}"),
        };
        assert!(
            matches!(after, "" | "QUIT\r\n"),
            "behind the text: {after:?}"
        );
        if self.speaks_of_text() {
            return;
        }
        let flags = request.flags;
        let asked = [
            (flags.return_path, "Return-Path: <"),
            (flags.original_to, "X-Original-To: "),
            (flags.delivered_to, "Delivered-To: "),
        ];
        let mut text = text.as_str();
        for (_, start) in asked.iter().filter(|(asked, _)| *asked) {
            assert!(text.starts_with(start), "{start} is missing: {text:?}");
            // A long line is broken.
            while let Some((_, next)) = text.split_once("\r\n") {
                text = next;
                if !text.starts_with(' ') {
                    break;
                }
            }
        }
        assert_eq!(text, RECEIVED, "the message is another");
    }

    /// Returns whether a table has a say in the text.
    fn speaks_of_text(&self) -> bool {
        ["generic", "header", "body"]
            .iter()
            .any(|table| self.speaks(table))
    }
}

fn optional<T>(
    word: &str,
    parse: impl Fn(String) -> Result<T, TextError>,
) -> Result<Option<T>, TextError> {
    match word {
        "" => Ok(None),
        word => parse(word.to_owned()).map(Some),
    }
}

/// The verb of a line. Both hellos are one.
fn verb(line: &str) -> &str {
    match line.split(' ').next() {
        Some("HELO") => "EHLO",
        verb => verb.unwrap_or_default(),
    }
}

fn answer(query: &Query) -> Result<Answer, Failure> {
    let data = match query.kind {
        QueryKind::Mx => RecordData::Mx {
            preference: 10,
            host: "mx.example.com".to_owned(),
        },
        QueryKind::A => RecordData::A([192, 0, 2, 1].into()),
        _ => return Err(Failure::NoData),
    };
    Ok(Answer {
        records: vec![Record {
            owner: query.name.clone(),
            ttl: 60,
            data,
            validated: false,
        }],
        canonical: query.name.clone(),
        validated: false,
    })
}
