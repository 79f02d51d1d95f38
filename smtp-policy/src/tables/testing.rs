//! Tables for unit tests, by their specifications. They are opened by `postfix_config`, for which this crate is
//! another one while it is tested: hence what stands in between.

use std::sync::Arc;

use postfix_config::tables::{TableContext, open_in};

use super::{
    KeyCase, Maps, MatchKind, MatchList, Steps, Table, TableFailure,
    byte_text::widen,
    match_list::{Member, Pattern},
    words::split,
};

/// A table of the other instance of this crate.
#[derive(Debug)]
struct Other(Arc<dyn Theirs>);

/// Tables as the other instance of this crate has them, for keys of both.
trait Theirs: Send + Sync + std::fmt::Debug {
    fn look_up(&self, key: &str, taken: u64) -> (Result<Option<String>, TableFailure>, u64);
    fn is_pattern(&self) -> bool;
    fn values(&self) -> Vec<String>;
}

impl<T: postfix_config::tables::Table + ?Sized> Theirs for Arc<T> {
    fn look_up(&self, key: &str, taken: u64) -> (Result<Option<String>, TableFailure>, u64) {
        let mut steps = postfix_config::tables::Steps::default();
        steps.forward(usize::try_from(taken).unwrap());
        let before = steps.taken();
        let found = self.lookup_within(key, &mut steps);
        let found = found.map_err(|failure| TableFailure {
            table: failure.table,
            reason: failure.reason,
        });
        (found, steps.taken() - before)
    }

    fn is_pattern(&self) -> bool {
        self.as_ref().is_pattern()
    }

    fn values(&self) -> Vec<String> {
        self.as_ref().values()
    }
}

impl Table for Other {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        self.0.look_up(key, 0).0
    }

    fn lookup_within(&self, key: &str, steps: &mut Steps) -> Result<Option<String>, TableFailure> {
        let (found, taken) = self.0.look_up(key, steps.taken());
        steps.forward(usize::try_from(taken).unwrap());
        found
    }

    fn is_pattern(&self) -> bool {
        self.0.is_pattern()
    }

    fn values(&self) -> Vec<String> {
        self.0.values()
    }
}

fn opened(specs: &str, context: &mut TableContext<'_>) -> Maps {
    let mut maps = Maps::default();
    for spec in split(specs) {
        match spec.strip_prefix("external:") {
            Some(name) => maps.push_external(name),
            None => {
                let table = open_in(spec, context).unwrap();
                maps.push(spec, Arc::new(Other(Arc::new(table))));
            }
        }
    }
    maps
}

/// The tables of a list.
pub(crate) fn maps(specs: &str) -> Maps {
    opened(specs, &mut TableContext::new("/nonexistent".as_ref()))
}

/// The same, compared exactly and read as bytes.
pub(crate) fn byte_maps(specs: &str) -> Maps {
    let mut context = TableContext::new("/nonexistent".as_ref());
    context.reading_bytes(|context| opened(&widen(specs.as_bytes()), context))
}

/// A list of texts and tables.
pub(crate) fn strings(list: &str) -> MatchList {
    let (case, kind) = (KeyCase::default(), MatchKind::Strings);
    let mut context = TableContext::new("/nonexistent".as_ref());
    let mut member = |word: &str| {
        let item = word.trim_start_matches('!');
        let pattern = match item.contains(':') {
            true => {
                let table = open_in(item, &mut context).unwrap();
                let table = Arc::new(Other(Arc::new(table)));
                Pattern::Table { table, kind }
            }
            false => Pattern::String(case.fold(item).into_owned()),
        };
        let positive = item == word;
        Member { positive, pattern }
    };
    let members = split(list).into_iter().map(&mut member).collect();
    MatchList::new(case, members)
}
