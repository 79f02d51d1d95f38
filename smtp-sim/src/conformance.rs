//! Runs the recordings and gathers the differences. It judges a driver of the
//! engine and is none itself.
//!
//! The environment variable `OUTPOST_ONLY` selects scenarios whose name holds its
//! value; pending ones are then run like all others.

use std::fmt;

#[cfg(feature = "host")]
pub use crate::host::run_all;
use crate::scenario::{Scenario, ScenarioError, folder, load_all, pending};

/// Selects scenarios by a part of their name.
const ONLY: &str = "OUTPOST_ONLY";

/// What did not go as it should: one text for each scenario, ended by a line feed.
///
/// Its `Debug` form is as readable as its `Display` form, since a test that
/// returns it prints the former.
#[derive(Clone, Default)]
pub struct Failures {
    /// How many scenarios were run.
    pub run: usize,
    /// The texts.
    pub texts: Vec<String>,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.texts {
            write!(f, "\n{text}")?;
        }
        writeln!(f, "\n{} of {} scenarios failed", self.texts.len(), self.run)
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}

impl From<ScenarioError> for Failures {
    fn from(error: ScenarioError) -> Failures {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let text = format!("{error}: {}\n", cause.unwrap_or_default());
        Failures {
            run: 0,
            texts: vec![text],
        }
    }
}

/// The scenarios to run, and which of them are pending.
#[derive(Clone, Debug)]
pub struct Selection {
    /// All selected scenarios, ordered by name.
    pub scenarios: Vec<Scenario>,
    /// The names of those that cannot pass yet.
    pub pending: Vec<String>,
}

impl Selection {
    /// Loads the project's recordings, as the environment selects them.
    pub fn load() -> Result<Selection, ScenarioError> {
        let mut scenarios = load_all(&folder())?;
        let mut pending = pending(&folder())?;
        if let Ok(only) = std::env::var(ONLY) {
            scenarios.retain(|scenario| scenario.name.contains(&only));
            pending.clear();
        }
        Ok(Selection { scenarios, pending })
    }

    /// Whether a scenario cannot pass yet.
    pub fn is_pending(&self, scenario: &Scenario) -> bool {
        self.pending.contains(&scenario.name)
    }

    /// Runs every scenario, and takes it ill when a pending one passes. `Err` of
    /// the runner is the difference.
    pub fn run(
        &self,
        mut runner: impl FnMut(&Scenario) -> Result<(), String>,
    ) -> Result<(), Failures> {
        let mut failures = Failures {
            run: self.scenarios.len(),
            texts: Vec::new(),
        };
        for scenario in &self.scenarios {
            let Scenario { name, about, .. } = scenario;
            match (runner(scenario), self.is_pending(scenario)) {
                (Err(difference), false) => {
                    failures
                        .texts
                        .push(format!("{name}: {about}\n{difference}"));
                }
                (Ok(()), true) => failures.texts.push(format!(
                    "{name} passes; take it out of smtp-sim/scenarios/PENDING\n"
                )),
                (Ok(()), false) | (Err(_), true) => {}
            }
        }
        if failures.texts.is_empty() {
            Ok(())
        } else {
            Err(failures)
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_pending_scenarios_that_pass_are_reported() {
        let scenario = |name: &str| {
            serde_json::from_str::<Scenario>(&format!(r#"{{"name": "{name}", "requests": []}}"#))
                .unwrap()
        };
        let names = ["passes", "fails", "pending-fails", "pending-passes"];
        let selection = Selection {
            scenarios: names.map(scenario).to_vec(),
            pending: vec!["pending-fails".into(), "pending-passes".into()],
        };
        let failures = selection
            .run(|s| {
                if s.name.ends_with("fails") {
                    Err("difference\n".into())
                } else {
                    Ok(())
                }
            })
            .unwrap_err();
        assert_eq!(failures.texts.len(), 2);
        assert!(failures.texts[0].starts_with("fails: "), "{failures}");
        assert!(
            failures.texts[1].starts_with("pending-passes passes"),
            "{failures}"
        );
        assert!(
            selection
                .run(|s| if s.name.contains("fails") && s.name.starts_with('p') {
                    Err(String::new())
                } else {
                    Ok(())
                })
                .is_err()
        );
    }
}
