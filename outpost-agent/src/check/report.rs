//! The findings of a check, as text.

use std::fmt;

/// The findings, part by part.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
}

/// One part of what was looked at.
#[derive(Debug)]
pub(super) struct Section {
    title: String,
    findings: Vec<Finding>,
    /// A service that this program runs, or would run.
    is_service: bool,
}

#[derive(Debug)]
enum Finding {
    /// A fact, and what it is about.
    Fact(&'static str, String),
    /// A thing that probably was not meant so.
    Warning(String),
    /// A reason for which nothing runs.
    Refusal(String),
}

impl Section {
    pub(super) fn new(title: impl fmt::Display) -> Self {
        Self {
            title: title.to_string(),
            findings: Vec::new(),
            is_service: false,
        }
    }

    /// The part of a service.
    pub(super) fn of_service(title: impl fmt::Display) -> Self {
        Self {
            is_service: true,
            ..Self::new(title)
        }
    }

    pub(super) fn fact(&mut self, about: &'static str, what: impl fmt::Display) {
        self.findings.push(Finding::Fact(about, what.to_string()));
    }

    pub(super) fn warning(&mut self, what: impl fmt::Display) {
        self.findings.push(Finding::Warning(what.to_string()));
    }

    pub(super) fn refusal(&mut self, why: impl fmt::Display) {
        self.findings.push(Finding::Refusal(why.to_string()));
    }

    pub(super) fn is_refused(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| matches!(finding, Finding::Refusal(_)))
    }
}

impl Report {
    pub(super) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Returns whether some service would not run.
    pub(crate) fn is_refused(&self) -> bool {
        self.sections.iter().any(Section::is_refused)
    }

    fn warnings(&self) -> usize {
        let findings = self.sections.iter().flat_map(|section| &section.findings);
        findings
            .filter(|finding| matches!(finding, Finding::Warning(_)))
            .count()
    }

    fn verdict(&self) -> String {
        let common = self.sections.iter().filter(|section| !section.is_service);
        let services = self.sections.iter().filter(|section| section.is_service);
        let (total, bad) = (
            services.clone().count(),
            services.filter(|s| s.is_refused()).count(),
        );
        let warnings = count(self.warnings(), "warning");
        match common.clone().any(Section::is_refused) {
            true => format!("no service would run, {warnings}"),
            false if bad > 0 => {
                format!(
                    "{bad} of {} would not run, {warnings}",
                    count(total, "service")
                )
            }
            false => format!("{} would run, {warnings}", count(total, "service")),
        }
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(about, what) => write!(f, "{about}: {what}"),
            Self::Warning(what) => write!(f, "warning: {what}"),
            Self::Refusal(why) => write!(f, "refused: {why}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(f, "{}", section.title)?;
            for finding in &section.findings {
                writeln!(f, "  {finding}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "verdict: {}", self.verdict())
    }
}
