//! Rules in order with `if` … `endif` blocks: what `cidr:`, `regexp:` and `pcre:` tables have in common.

/// A rule of a table. `C` is the condition, `A` the answer.
#[derive(Debug)]
pub(super) enum Rule<C, A> {
    /// Ends the search with the answer if the condition holds.
    Answer { condition: C, answer: A },
    /// Enters the block up to the matching `EndIf` only if the condition holds.
    If { condition: C },
    /// The end of a block.
    EndIf,
}

/// The rules of a table.
#[derive(Debug)]
pub(super) struct Rules<C, A> {
    steps: Vec<Step<C, A>>,
    /// Blocks that are not closed yet: position of the `if` and its line number.
    open: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Step<C, A> {
    rule: Rule<C, A>,
    /// For an `if`: the position of its `endif`, if it has one.
    end: Option<usize>,
}

impl<C, A> Rules<C, A> {
    pub(super) fn new() -> Self {
        Rules {
            steps: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Whether a block is open, so that an `endif` is in its place.
    pub(super) fn in_block(&self) -> bool {
        !self.open.is_empty()
    }

    /// Adds the rule of a line. An `EndIf` without an open block does nothing.
    pub(super) fn push(&mut self, line: usize, rule: Rule<C, A>) {
        let here = self.steps.len();
        match rule {
            Rule::If { .. } => self.open.push((here, line)),
            Rule::EndIf => {
                let opened = self.open.pop();
                if let Some(step) = opened.and_then(|(at, _)| self.steps.get_mut(at)) {
                    step.end = Some(here);
                }
            }
            Rule::Answer { .. } => {}
        }
        self.steps.push(Step { rule, end: None });
    }

    /// The line numbers of blocks that were never closed, innermost first.
    pub(super) fn unclosed(&self) -> impl Iterator<Item = usize> {
        self.open.iter().rev().map(|&(_, line)| line)
    }

    /// The first answer. `judge` gives `None` if a condition does not hold; if it does, the answer of
    /// the rule, or any text for an `if`, which has none.
    pub(super) fn find<E>(
        &self,
        mut judge: impl FnMut(&C, Option<&A>) -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            match &step.rule {
                Rule::Answer {
                    condition,
                    answer: text,
                } => {
                    if let Some(text) = judge(condition, Some(text))? {
                        return Ok(Some(text));
                    }
                }
                Rule::If { condition } => {
                    if judge(condition, None)?.is_none() {
                        match step.end {
                            Some(end) => at = end,
                            // A block without end runs to the end of the table.
                            None => return Ok(None),
                        }
                    }
                }
                Rule::EndIf => {}
            }
            at += 1;
        }
        Ok(None)
    }
}

/// Whether the line starts with the word, in any case, and no letter or digit follows; then the rest.
pub(super) fn after_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = line.split_at_checked(word.len())?;
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    (start.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// Takes the negation operators off the start of a rule: whether the condition is positive, and the
/// rest. White space between and after the operators does not count.
pub(super) fn negation(text: &str) -> (bool, &str) {
    let rest = text.trim_start_matches(|c| c == '!' || smtp_policy::tables::words::is_space(c));
    let skipped = text.strip_suffix(rest).unwrap_or("");
    let negations = skipped.bytes().filter(|&byte| byte == b'!').count();
    (negations % 2 == 0, rest)
}
