//! The way of the message text from its source to the session: added header
//! fields, header and body checks, generic maps, conversion to 7bit. It holds one
//! chunk of the source and one header field, whatever the size of the message.

use std::{collections::VecDeque, mem::take, sync::Arc};

use bytes::Bytes;
use smtp_proto::mime::{
    Header, HeaderClass, HeaderRole, MimeReader, NestingError, Part, Record, RecordEnd,
    RecordReader, known_header,
};

use super::{
    ContentRules,
    checks::{CheckMaps, Place, Remark, Subject, Verdict},
    generic::{HeaderMapping, Lookup, fold},
    raw::RawText,
};
use crate::{
    line_ends::{LineEnds, StrayCr, StrayCrError},
    tables::{
        MapsSearch, MapsStep, TableFailure, TableQuery,
        byte_text::{narrow_text, widen},
    },
};

/// So many [steps](crate::tables::Steps) of looking things up are taken in a row, about. Then
/// whoever drives the pipe looks at the clock.
pub(crate) const STEPS_AT_ONCE: u64 = 1_000_000;

/// What a [`Pipe`] has to say.
#[derive(Debug)]
pub(crate) enum PipeStep {
    /// Text for the session, by the record.
    Record(Record),
    /// Text for the session, as it came.
    Chunk(Bytes),
    /// More text is needed, from [`Pipe::offset`] on.
    More,
    /// A table outside of the process has to be asked.
    Ask(TableQuery),
    /// The answer of that table is still out.
    Waiting,
    /// Much was looked up, and there is more to come: time may have passed.
    Pause,
    /// Something for the log about an action on this message.
    Info(String),
    /// A warning.
    Warning(String),
    /// The text is over.
    Done,
    /// The text cannot go to this server.
    Failed(PipeFailure),
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PipeFailure {
    /// It cannot be converted.
    Nesting(NestingError),
    /// It has a CR that is to be refused.
    StrayCr(StrayCrError),
    /// A table failed.
    Table,
}

/// One message on its way to one server.
#[derive(Debug)]
pub(crate) struct Pipe {
    rules: Arc<ContentRules>,
    /// Header fields that come before the text.
    inserted: VecDeque<Bytes>,
    /// The reader of line ends of the source; `None` if every CR is data.
    line_ends: Option<LineEnds>,
    flow: Flow,
    parts: VecDeque<Part>,
    work: Option<Work>,
    out: VecDeque<PipeStep>,
    /// Bytes taken from the source.
    offset: u64,
    ended: bool,
    asked: bool,
    /// The steps that were taken since the last pause.
    taken: u64,
}

/// How the text is read.
#[derive(Debug)]
enum Flow {
    /// Not at all.
    Straight(Bytes),
    /// As a message.
    Read(RecordReader, Box<MimeReader>),
    /// No longer: its end has come.
    Over,
}

/// Something that is being looked up.
#[derive(Debug)]
enum Work {
    CheckHeader {
        header: Header,
        subject: Subject,
        search: MapsSearch,
    },
    CheckBody {
        record: Record,
        subject: Subject,
        search: MapsSearch,
    },
    Map {
        field: RawText,
        mapping: Box<HeaderMapping>,
    },
}

impl Pipe {
    /// The way of a message, with header fields before it. `convert`: it has to be
    /// 7bit.
    ///
    /// Without conversion, checks and maps the text goes through untouched, except for
    /// its line ends as `stray_cr` says.
    pub(crate) fn new(
        rules: Arc<ContentRules>,
        inserted: Vec<Bytes>,
        stray_cr: StrayCr,
        convert: bool,
    ) -> Self {
        let flow = match rules.reading(convert) {
            Some(options) => Flow::Read(RecordReader::new(), Box::new(MimeReader::new(options))),
            None => Flow::Straight(Bytes::new()),
        };
        Self {
            rules,
            inserted: inserted.into(),
            line_ends: LineEnds::unless_passed(stray_cr),
            flow,
            parts: VecDeque::new(),
            work: None,
            out: VecDeque::new(),
            offset: 0,
            ended: false,
            asked: false,
            taken: 0,
        }
    }

    /// Where in the source the text begins that [`PipeStep::More`] asks for.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next chunk of text; an empty one is the end.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.offset += chunk.len() as u64;
        self.ended |= chunk.is_empty();
        let read = match &mut self.line_ends {
            Some(line_ends) => line_ends.push(chunk),
            None => Ok(chunk),
        };
        match read {
            Ok(text) => self.take(text),
            Err(error) => self
                .out
                .push_back(PipeStep::Failed(PipeFailure::StrayCr(error))),
        }
    }

    fn take(&mut self, chunk: Bytes) {
        match &mut self.flow {
            Flow::Straight(waiting) if waiting.is_empty() => *waiting = chunk,
            Flow::Straight(waiting) => *waiting = [waiting.as_ref(), &chunk].concat().into(),
            Flow::Read(records, _) => records.push(chunk),
            Flow::Over => {}
        }
    }

    /// The answer to [`PipeStep::Ask`].
    pub(crate) fn answered(&mut self, answer: Result<Option<String>, TableFailure>) {
        if !take(&mut self.asked) {
            return;
        }
        match &mut self.work {
            Some(Work::CheckHeader { search, .. } | Work::CheckBody { search, .. }) => {
                let widened = answer.map(|found| found.map(|text| widen(text.as_bytes())));
                search.answered(widened);
            }
            Some(Work::Map { mapping, .. }) => mapping.answered(answer),
            None => {}
        }
    }

    /// Goes on as far as the next thing to say.
    pub(crate) fn step(&mut self) -> PipeStep {
        loop {
            if let Some(step) = self.out.pop_front() {
                return step;
            }
            if self.asked {
                return PipeStep::Waiting;
            }
            if self.taken >= STEPS_AT_ONCE {
                self.taken = 0;
                return PipeStep::Pause;
            }
            if let Some(work) = self.work.take() {
                self.go_on(work);
            } else if let Some(part) = self.parts.pop_front() {
                self.begin(part);
            } else if let Some(step) = self.read() {
                return step;
            }
        }
    }

    /// Reads on. `None`: look again.
    fn read(&mut self) -> Option<PipeStep> {
        if let Some(field) = self.inserted.pop_front() {
            return self.read_record(Record {
                text: field,
                end: RecordEnd::Line,
            });
        }
        let plain = self.rules.body.maps.is_empty();
        match &mut self.flow {
            Flow::Straight(chunk) if !chunk.is_empty() => Some(PipeStep::Chunk(take(chunk))),
            Flow::Straight(_) if !self.ended => Some(PipeStep::More),
            Flow::Straight(_) | Flow::Over => {
                self.flow = Flow::Over;
                Some(PipeStep::Done)
            }
            Flow::Read(records, reader) if plain && reader.is_transparent() => {
                self.flow = Flow::Straight(take(records).into_rest());
                None
            }
            Flow::Read(records, _) => {
                let next = records.next_record();
                let ended = self.ended && next.is_none();
                match next.or_else(|| if ended { records.finish() } else { None }) {
                    Some(record) => self.read_record(record),
                    None if ended => self.end_reading(),
                    None => Some(PipeStep::More),
                }
            }
        }
    }

    fn read_record(&mut self, record: Record) -> Option<PipeStep> {
        let Self { flow, parts, .. } = self;
        match flow {
            Flow::Read(_, reader) => {
                let read = reader.record(record, &mut |part| parts.push_back(part));
                read.err()
                    .map(|error| PipeStep::Failed(PipeFailure::Nesting(error)))
            }
            Flow::Straight(_) | Flow::Over => Some(PipeStep::Record(record)),
        }
    }

    fn end_reading(&mut self) -> Option<PipeStep> {
        let flow = std::mem::replace(&mut self.flow, Flow::Over);
        let Flow::Read(_, mut reader) = flow else {
            return None;
        };
        let parts = &mut self.parts;
        let read = reader.finish(&mut |part| parts.push_back(part));
        read.err()
            .map(|error| PipeStep::Failed(PipeFailure::Nesting(error)))
    }

    /// Begins with a part of the message.
    fn begin(&mut self, part: Part) {
        match part {
            Part::Header(header) => {
                let maps = &self.rules.header_checks(&header).maps;
                if maps.is_empty() {
                    return self.map(header);
                }
                let subject = Subject::new(&header.text);
                let search = maps.search(subject.key());
                self.work = Some(Work::CheckHeader {
                    header,
                    subject,
                    search,
                });
            }
            Part::Body(record) => {
                let maps = &self.rules.body.maps;
                if maps.is_empty() {
                    return self.out.push_back(PipeStep::Record(record));
                }
                let subject = Subject::new(&record.text);
                let search = maps.search(subject.key());
                self.work = Some(Work::CheckBody {
                    record,
                    subject,
                    search,
                });
            }
        }
    }

    /// Goes on with a look-up as far as possible.
    fn go_on(&mut self, mut work: Work) {
        let answer = match &mut work {
            Work::CheckHeader { search, .. } | Work::CheckBody { search, .. } => {
                match search.next() {
                    MapsStep::Done(answer) => {
                        self.taken = self.taken.saturating_add(search.steps().taken());
                        answer
                    }
                    MapsStep::Ask { table, key } => {
                        // Outside, keys are text.
                        let (table, key) = (narrow_text(&table), narrow_text(&key));
                        return self.ask(TableQuery { table, key }, work);
                    }
                }
            }
            Work::Map { .. } => return self.go_on_mapping(work),
        };
        let rules = Arc::clone(&self.rules);
        match work {
            Work::CheckHeader {
                mut header,
                subject,
                ..
            } => {
                let checks = rules.header_checks(&header);
                match self.verdict(checks, Place::Header, answer, &subject) {
                    None | Some(Verdict::Drop) => return,
                    Some(Verdict::Replace(text)) => header.text = text,
                    Some(Verdict::Keep) => {}
                    Some(Verdict::Prepend(text)) => self.field(&text),
                }
                self.map(header);
            }
            Work::CheckBody {
                mut record,
                subject,
                ..
            } => {
                match self.verdict(&rules.body, Place::Body, answer, &subject) {
                    None | Some(Verdict::Drop) => return,
                    Some(Verdict::Replace(text)) => {
                        record.text = text.into();
                    }
                    Some(Verdict::Keep) => {}
                    Some(Verdict::Prepend(text)) => self.line(text),
                }
                self.out.push_back(PipeStep::Record(record));
            }
            Work::Map { .. } => {}
        }
    }

    fn ask(&mut self, query: TableQuery, work: Work) {
        self.asked = true;
        self.work = Some(work);
        self.out.push_back(PipeStep::Ask(query));
    }

    /// What a table says about a text; `None` if it cannot say.
    fn verdict(
        &mut self,
        checks: &CheckMaps,
        place: Place,
        answer: Result<Option<String>, TableFailure>,
        subject: &Subject,
    ) -> Option<Verdict> {
        let result = match answer {
            Ok(None) => return Some(Verdict::Keep),
            Ok(Some(result)) => result,
            Err(failure) => {
                let place = match place {
                    Place::Header => "header",
                    Place::Body => "body",
                };
                let warnings = [
                    failure.to_string(),
                    format!("smtp {place} checks lookup error"),
                ];
                self.fail(warnings);
                return None;
            }
        };
        let (verdict, remark) = checks.act(place, &result, subject);
        self.out.extend(remark.map(|remark| match remark {
            Remark::Action(text) => PipeStep::Info(text.into()),
            Remark::Warning(text) => PipeStep::Warning(text.into()),
        }));
        Some(verdict)
    }

    fn fail(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.out.extend(warnings.into_iter().map(PipeStep::Warning));
        self.out.push_back(PipeStep::Failed(PipeFailure::Table));
    }

    /// Maps the addresses of a header field, if it is one with addresses.
    fn map(&mut self, header: Header) {
        let mapped = header.class == HeaderClass::Primary
            && header
                .known
                .is_some_and(|known| known.role == HeaderRole::Addresses)
            && self.rules.generic.is_some();
        if !mapped {
            return self.field(&header.text);
        }
        // A check may have given it another name.
        let name = known_header(&header.text)
            .or(header.known)
            .map_or(0, |known| known.name.len());
        let field = RawText::new(&header.text);
        let mapping = Box::new(HeaderMapping::new(&field.text, name));
        self.work = Some(Work::Map { field, mapping });
    }

    fn go_on_mapping(&mut self, mut work: Work) {
        let rules = Arc::clone(&self.rules);
        let (Work::Map { field, mapping }, Some(generic)) = (&mut work, &rules.generic) else {
            return;
        };
        let mut notes = Vec::new();
        let step = mapping.step(generic, &mut notes);
        self.out.extend(notes.into_iter().map(PipeStep::Warning));
        self.taken = self.taken.saturating_add(mapping.take_taken());
        let Some(step) = step else {
            self.work = Some(work);
            return;
        };
        match step {
            Lookup::Ask(query) => self.ask(query, work),
            Lookup::Failed(why) => self.fail([why]),
            Lookup::Done(None) => self.field(&field.bytes(&field.text)),
            Lookup::Done(Some(text)) => {
                fold(&field.bytes(&text))
                    .into_iter()
                    .for_each(|line| self.line(line));
            }
        }
    }

    /// A header field goes out, line by line.
    fn field(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            self.line(line.to_vec());
        }
    }

    fn line(&mut self, text: Vec<u8>) {
        let record = Record {
            text: text.into(),
            end: RecordEnd::Line,
        };
        self.out.push_back(PipeStep::Record(record));
    }
}
