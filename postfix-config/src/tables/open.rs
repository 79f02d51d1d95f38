//! From a specification `type:name` to a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fixed::Fixed;
use super::octets::Octets;
use super::opened::OpenedTable;
use super::pattern_file::Dialect;
use super::proxied::{self, ProxyTables};
use super::texthash::Duplicates;
use crate::files;
use smtp_policy::tables::byte_text::{narrow_text, widen};
use smtp_policy::tables::words::{braced, split, unbrace};

use super::{cidr, indexed, inline, pattern_file, pipe, rand, static_map, texthash, union};
use smtp_policy::tables::{KeyCase, Table, TableError};

/// How deep tables may be nested in each other (`unionmap:{pipemap:{…}}`).
const MAX_DEPTH: usize = 16;

/// How large a table file may be, in bytes.
pub(super) const MAX_FILE: u64 = 256 * 1024 * 1024;

/// What opening tables needs to know, and the warnings that it gives.
#[derive(Debug)]
pub struct TableContext<'a> {
    dir: &'a Path,
    seed: u64,
    depth: usize,
    /// Tables are read as bytes, each of which is a character.
    bytes: bool,
    /// The way in which keys are folded wherever they are.
    utmost: KeyCase,
    /// The way in which keys of the tables are compared that are being opened.
    case: KeyCase,
    proxies: ProxyTables,
    warnings: Vec<String>,
    opened: Vec<OpenedTable>,
}

impl<'a> TableContext<'a> {
    /// A context whose relative file names are taken from `dir` (the configuration directory), with
    /// seed 0.
    pub fn new(dir: &'a Path) -> Self {
        TableContext {
            dir,
            seed: 0,
            depth: 0,
            bytes: false,
            utmost: KeyCase::default(),
            case: KeyCase::default(),
            proxies: ProxyTables::default(),
            warnings: Vec::new(),
            opened: Vec::new(),
        }
    }

    /// The same context with another seed. The seed decides the picks of `randmap:` tables: drivers
    /// give one from a source of entropy, simulations the one of the run.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same context for keys that are compared in another way than without regard to case. No
    /// table that it opens distinguishes less.
    #[must_use]
    pub fn with_key_case(mut self, case: KeyCase) -> Self {
        (self.utmost, self.case) = (case, case);
        self
    }

    /// The same context with another place where `proxy:` tables are opened.
    #[must_use]
    pub fn with_proxies(mut self, proxies: ProxyTables) -> Self {
        self.proxies = proxies;
        self
    }

    pub(super) fn proxies(&self) -> &ProxyTables {
        &self.proxies
    }

    /// The way in which keys are compared.
    pub(super) fn case(&self) -> KeyCase {
        self.case
    }

    /// The way in which postmap(1) puts keys into databases.
    pub(super) fn utmost(&self) -> KeyCase {
        self.utmost
    }

    /// The meaning of keys and results as bytes.
    pub(super) fn octets(&self) -> Octets {
        match self.bytes {
            true => Octets::Characters,
            false => Octets::Utf8,
        }
    }

    /// Opens tables whose keys are compared in some way, or one that distinguishes more.
    pub fn comparing<T>(&mut self, case: KeyCase, inside: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.case;
        self.case = case.min(self.utmost);
        let result = inside(self);
        self.case = before;
        result
    }

    /// What was wrong with tables that work all the same: skipped lines, with file name and line
    /// number, in the order in which they were found.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Opens tables whose keys and results are bytes: does something with a context in which files
    /// are read as bytes.
    pub fn reading_bytes<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.bytes = true;
        let result = inside(self);
        self.bytes = false;
        result
    }

    /// Takes the warnings out of the context.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Takes the files out of the context that tables were read from.
    pub fn take_opened(&mut self) -> Vec<OpenedTable> {
        std::mem::take(&mut self.opened)
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Where functions that know nothing of contexts add their warnings.
    pub(super) fn warnings_mut(&mut self) -> &mut Vec<String> {
        &mut self.warnings
    }

    /// Adds a file that a table was read from.
    pub(super) fn note_opened(&mut self, opened: OpenedTable) {
        self.opened.push(opened);
    }

    /// Reads the entries of a text into a table. One that contradicts itself is a table without answers.
    pub(super) fn read_entries(
        &mut self,
        spec: &str,
        title: &str,
        bytes: &[u8],
        table: Fixed,
        duplicates: Duplicates,
    ) -> Arc<dyn Table> {
        match texthash::read(title, bytes, table, duplicates, &mut self.warnings) {
            Ok(table) => Arc::new(table),
            Err(reason) => {
                let table = static_map::Unavailable::new(spec, reason);
                self.warnings.push(table.to_string());
                Arc::new(table)
            }
        }
    }

    /// A seed for one table, different for each.
    fn next_seed(&mut self) -> u64 {
        self.seed = rand::mix(self.seed);
        self.seed
    }

    /// A file name as the user meant it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if self.bytes {
            return self.dir.join(narrow_text(name));
        }
        self.dir.join(name)
    }
}

/// Opens the table `type:name`, or `type:{…}` for the types that take their contents inline. Relative
/// file names are taken from `dir`.
///
/// Warnings about lines of the table are lost and `randmap:` always makes the same picks; see
/// [`open_in`].
///
/// # Errors
///
/// If the specification is malformed, the type is not supported, or a file cannot be read.
pub fn open(spec: &str, dir: &Path) -> Result<Arc<dyn Table>, TableError> {
    open_in(spec, &mut TableContext::new(dir))
}

/// Like [`open`], with the seed and the collected warnings of a context.
///
/// # Errors
///
/// If the specification is malformed, the type is not supported, a file cannot be read, or tables are
/// nested too deep.
pub fn open_in(spec: &str, context: &mut TableContext<'_>) -> Result<Arc<dyn Table>, TableError> {
    nested(spec, context, |context| dispatch(spec, context))
}

/// Does something one level deeper, unless that is too deep.
pub(super) fn nested<'a, T>(
    spec: &str,
    context: &mut TableContext<'a>,
    inside: impl FnOnce(&mut TableContext<'a>) -> Result<T, TableError>,
) -> Result<T, TableError> {
    if context.depth >= MAX_DEPTH {
        return Err(TableError::new(
            spec,
            format!("tables are nested more than {MAX_DEPTH} deep"),
        ));
    }
    context.depth += 1;
    let result = inside(context);
    context.depth -= 1;
    result
}

fn dispatch(spec: &str, context: &mut TableContext<'_>) -> Result<Arc<dyn Table>, TableError> {
    let (kind, name) = match spec.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => (kind, name),
        _ => {
            return Err(TableError::new(
                spec,
                "expecting \"type:name\" form for a table",
            ));
        }
    };
    Ok(match kind {
        "inline" => Arc::new(inline::open(name, context.case)?),
        "static" => Arc::new(static_map::Static::open(name)?),
        "texthash" => {
            let (title, bytes) = read_file(spec, name, context)?;
            let table = Fixed::new(context.case, context.case);
            context.read_entries(spec, &title, &bytes, table, Duplicates::NoTable)
        }
        "cidr" => {
            let (title, bytes) = read_rules(spec, name, context)?;
            Arc::new(cidr::read(&title, &bytes, &mut context.warnings))
        }
        "regexp" | "pcre" => {
            let dialect = if kind == "pcre" {
                Dialect::Pcre
            } else {
                Dialect::Regexp
            };
            let (title, bytes) = read_rules(spec, name, context)?;
            Arc::new(pattern_file::read(
                dialect,
                context.octets(),
                &title,
                &bytes,
                &mut context.warnings,
            ))
        }
        "unionmap" => Arc::new(union::Union {
            tables: members(kind, name, context)?,
        }),
        "pipemap" => Arc::new(pipe::Pipe {
            tables: members(kind, name, context)?,
        }),
        "randmap" => Arc::new(rand::Random::open(name, context.next_seed())?),
        "fail" => Arc::new(static_map::Fail::open(name)),
        "proxy" => proxied::open(spec, name, context)?,
        _ => match indexed::Kind::of(kind) {
            Some(kind) => kind.open(spec, name, context)?,
            None => return Err(TableError::new(spec, refusal(kind))),
        },
    })
}

/// Why tables of this type cannot be opened.
fn refusal(kind: &str) -> String {
    match kind {
        "external" => "an external table works only as a member of a list of tables, not inside \
                       another table or where a single table is needed"
            .to_owned(),
        "environ" => "refused: the environment is not a lookup table here".to_owned(),
        "tcp" | "socketmap" | "ldap" | "mysql" | "pgsql" | "sqlite" | "memcache" | "mongodb"
        | "nis" | "nisplus" | "netinfo" | "unix" => format!(
            "\"{kind}\" tables are not supported; plug in a table of your own or use external:NAME"
        ),
        _ => format!("unsupported table type: {kind}"),
    }
}

/// Opens the members of `{type:name, …}`.
fn members(
    kind: &str,
    name: &str,
    context: &mut TableContext<'_>,
) -> Result<Vec<Arc<dyn Table>>, TableError> {
    let specs = braced(name).map(split).unwrap_or_default();
    if specs.is_empty() || specs.iter().any(|spec| !spec.contains(':')) {
        return Err(TableError::new(
            format!("{kind}:{name}"),
            format!("bad syntax; need \"{kind}:{{type:name...}}\""),
        ));
    }
    specs
        .into_iter()
        .map(|spec| open_in(spec, context))
        .collect()
}

/// The rules of a table that can be written inline, one a line, and what to call it in warnings.
fn read_rules(
    spec: &str,
    name: &str,
    context: &mut TableContext<'_>,
) -> Result<(String, Vec<u8>), TableError> {
    if !name.starts_with('{') {
        return read_file(spec, name, context);
    }
    let error = |reason: String| TableError::new(spec, reason);
    let mut text = String::new();
    for rule in split(unbrace(name).map_err(error)?) {
        text.push_str(unbrace(rule).map_err(error)?);
        text.push('\n');
    }
    Ok((name.to_owned(), text.into_bytes()))
}

/// The contents of a table file, and its path for warnings.
pub(super) fn read_file(
    spec: &str,
    name: &str,
    context: &mut TableContext<'_>,
) -> Result<(String, Vec<u8>), TableError> {
    let path = context.path(name);
    read_text(spec, &path, context)
}

/// The same for a path. The file is watched from now on.
pub(super) fn read_text(
    spec: &str,
    path: &Path,
    context: &mut TableContext<'_>,
) -> Result<(String, Vec<u8>), TableError> {
    // Opened first: a change while it is read is a change.
    let opened = OpenedTable::open(spec, path).map_err(|error| open_error(spec, path, &error))?;
    let text = text_table(spec, path, context)?;
    context.opened.push(opened);
    Ok(text)
}

/// The same for a file whose changes do not matter.
pub(super) fn text_table(
    spec: &str,
    path: &Path,
    context: &TableContext<'_>,
) -> Result<(String, Vec<u8>), TableError> {
    let bytes = files::read(path, MAX_FILE).map_err(|error| open_error(spec, path, &error))?;
    let title = path.display().to_string();
    if context.bytes {
        return Ok((title, widen(&bytes).into_bytes()));
    }
    Ok((title, bytes))
}

/// A table whose file cannot be opened or read.
pub(super) fn open_error(spec: &str, path: &Path, error: &std::io::Error) -> TableError {
    let reason = format!("open {}: {}", path.display(), system_reason(error));
    TableError::new(spec, reason)
}

/// The system's words for an error, as the C library has them.
fn system_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    fn error_of(spec: &str) -> String {
        open(spec, Path::new("/nonexistent"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_cannot_be_opened_is_refused_with_a_reason() {
        let rows = [
            ("", "expecting \"type:name\""),
            ("name", "expecting \"type:name\""),
            (":name", "expecting \"type:name\""),
            ("inline:", "expecting \"type:name\""),
            ("nosuch:x", "unsupported table type: nosuch"),
            ("ldap:x", "plug in a table of your own or use external:NAME"),
            ("tcp:localhost:5", "plug in a table of your own"),
            ("proxy:mysql:x", "plug in a table of your own"),
            ("environ:x", "refused"),
            ("external:x", "member of a list"),
            ("unionmap:{external:x}", "member of a list"),
            (
                "texthash:gone",
                "open /nonexistent/gone: No such file or directory",
            ),
            (
                "hash:/gone/too",
                "open /gone/too: No such file or directory",
            ),
            (
                "pcre:gone",
                "open /nonexistent/gone: No such file or directory",
            ),
            ("texthash:/", "Is a directory"),
            (
                "texthash:/dev/zero",
                "open /dev/zero: more than 268435456 bytes",
            ),
            (
                "regexp:/dev/full",
                "open /dev/full: more than 268435456 bytes",
            ),
            ("inline:{ }", "empty table"),
            ("inline:{ foo = xx }", "missing '=' after attribute name"),
            ("inline:{ foo=xx }x", "bad syntax"),
            ("inline:{ foo=xx x", "bad syntax"),
            ("inline:{ foo=xx {x=y}x}", "syntax error after '}'"),
            ("inline:{ {\"a=b} }", "unbalanced '\"'"),
            ("static:{ foo", "missing '}'"),
            ("static:{ foo }x", "syntax error after '}'"),
            ("randmap:123", "bad syntax"),
            ("randmap:{ }", "bad syntax"),
            ("unionmap:{}", "bad syntax"),
            ("unionmap:static:x", "bad syntax"),
            ("pipemap:{static:x,y}", "bad syntax"),
            ("cidr:{1.2.3.4 x}", "no '{' at start of text"),
            ("regexp:{{/a/ b}", "missing '}'"),
        ];
        for (spec, reason) in rows {
            let error = error_of(spec);
            assert!(error.contains(reason), "{spec}: {error}");
        }
    }

    #[test]
    fn tables_can_be_nested_but_not_without_end() {
        let nest = |depth: usize| {
            let (open, close) = ("unionmap:{".repeat(depth), "}".repeat(depth));
            format!("{open}static:x{close}")
        };
        assert!(open(&nest(MAX_DEPTH - 1), Path::new("")).is_ok());
        assert!(error_of(&nest(MAX_DEPTH)).contains("nested"));
        assert!(error_of(&format!("{}static:x", "proxy:".repeat(MAX_DEPTH))).contains("nested"));
    }

    #[test]
    fn the_seed_of_the_context_decides_the_picks_of_each_randmap() {
        let picks = |seed: u64| {
            let mut context = TableContext::new(Path::new("")).with_seed(seed);
            let tables: Vec<_> = (0..2)
                .map(|_| open_in("randmap:{a,b,c,d}", &mut context).unwrap())
                .collect();
            let pick = |table: &Arc<dyn Table>| -> Vec<_> {
                (0..20).map(|_| table.lookup("k").unwrap()).collect()
            };
            tables.iter().map(pick).collect::<Vec<_>>()
        };
        assert_eq!(picks(1), picks(1));
        assert_ne!(picks(1), picks(2));
        let both = picks(1);
        assert_ne!(both[0], both[1]);
    }
}
