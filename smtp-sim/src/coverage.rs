//! The coverage of simulations: how often they take each transition of the session and of the delivery, and why
//! some are never taken. It judges the populations as much as the tables: what no
//! population reaches is tested by scripts only.
//!
//! ```
//! use smtp_sim::{coverage::Coverage, population::{Knobs, Policies}, trial};
//!
//! let mut policies = Policies::default();
//! let mut coverage = Coverage::default();
//! for seed in 0..20 {
//!     let trial = trial::run(seed, Knobs::default(), &mut policies);
//!     coverage.add(seed, &trial.taken, &trial.phases);
//! }
//! assert!(coverage.faults().is_empty());
//! assert!(coverage.to_string().contains("Banner -> Ehlo"));
//! assert!(coverage.to_string().contains("Connecting -> Talking"));
//! ```

use std::{collections::BTreeMap, fmt};

use smtp_policy::delivery::{PHASE_TRANSITIONS, PhaseName, PhasesTaken};
use smtp_proto::session::{Place, TRANSITIONS, Taken};

/// After how many seeds every transition has to have been taken or explained. What is
/// not explained is taken about four times in 10,000 seeds, or far more often.
pub const ENOUGH: u64 = 20_000;

/// Transitions that are not taken, and why.
struct Reason<P: 'static> {
    reach: Reach,
    /// Where they begin.
    from: &'static [P],
    /// Where they end.
    to: &'static [P],
    /// Why they are not taken.
    why: &'static str,
}

/// How far away a transition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// No population comes there.
    Never,
    /// Populations come there once in many thousand seeds.
    Seldom,
}

/// The reasons for transitions of the session that are not taken.
const REASONS: &[Reason<Place>] = {
    use Place::{
        Abandoned, Abort, Auth, Banner, Challenge, Data, Ehlo, Envelope, Forward, Gate, Helo, Idle,
        Leaving, Lhlo, Lost, Negotiation, Pause, Probing, Protocol, Quit, Refused, Stale, StartTls,
        Text, TimedOut, Tls, Verdict, Verdicts, Window, WrapperGate,
    };
    use Reach::{Never, Seldom};
    &[
        Reason {
            reach: Never,
            from: &[Negotiation, Challenge, Forward, Envelope],
            to: &[Abandoned],
            why: "nobody waits there, so that nobody gives up there",
        },
        Reason {
            reach: Never,
            from: &[Quit, Refused, Tls, Stale, Lost, TimedOut, Protocol],
            to: &[Abandoned],
            why: "a session that is over says so before anybody gives up",
        },
        Reason {
            reach: Never,
            from: &[Pause],
            to: &[TimedOut],
            why: "the pause is shorter than the limit of the text",
        },
        Reason {
            reach: Seldom,
            from: &[WrapperGate],
            to: &[Tls, TimedOut, Abandoned],
            why: "few profiles have smtp_tls_wrappermode",
        },
        Reason {
            reach: Seldom,
            from: &[
                Banner, Ehlo, Helo, Lhlo, StartTls, Auth, Probing, Window, Data, Verdict, Verdicts,
                Abort,
            ],
            to: &[Protocol],
            why: "few servers reply without an end",
        },
        Reason {
            reach: Seldom,
            from: &[
                Banner, Ehlo, Helo, Lhlo, StartTls, Gate, Auth, Probing, Window, Data, Pause,
                Verdict, Verdicts, Abort, Leaving,
            ],
            to: &[Abandoned],
            why: "few deliveries are called off, and few outlast daemon_timeout",
        },
        Reason {
            reach: Seldom,
            from: &[Text],
            to: &[Lost, TimedOut, Protocol, Abandoned],
            why: "few texts are larger than the queue",
        },
        Reason {
            reach: Seldom,
            from: &[Pause],
            to: &[Lost, Protocol],
            why: "few connections break in the pause",
        },
        Reason {
            reach: Seldom,
            from: &[Protocol],
            to: &[Lost],
            why: "few connections break in a text whose server replies without an end",
        },
        Reason {
            reach: Seldom,
            from: &[Data],
            to: &[Verdict],
            why: "few servers invite the text of a message for nobody",
        },
        Reason {
            reach: Seldom,
            from: &[Idle],
            to: &[Leaving],
            why: "few transactions outlast smtp_connection_reuse_time_limit",
        },
        Reason {
            reach: Seldom,
            from: &[Negotiation, Challenge, Idle],
            to: &[Protocol],
            why: "few servers send more than 64 KiB there",
        },
    ]
};

/// The reasons for transitions of the delivery that are not taken.
const PHASE_REASONS: &[Reason<PhaseName>] = {
    use PhaseName::{Choosing, LookingUp, Preparing, Start};
    use Reach::{Never, Seldom};
    &[
        Reason {
            reach: Never,
            from: &[Start],
            to: &[Preparing],
            why: "no population has generic maps or flags=D",
        },
        Reason {
            reach: Never,
            from: &[Preparing],
            to: &[Choosing],
            why: "no population comes to what is to be prepared",
        },
        Reason {
            reach: Never,
            from: &[Choosing],
            to: &[Start],
            why: "no population has best_mx_transport",
        },
        Reason {
            reach: Seldom,
            from: &[LookingUp],
            to: &[Choosing],
            why: "few deliveries are called off when a kept connection has turned out to be dead",
        },
    ]
};

/// A row of a table of transitions.
#[derive(Clone, Copy)]
struct Row<P> {
    from: P,
    to: P,
    when: &'static str,
}

/// The places of a machine whose transitions are a table.
trait Station: Copy + Ord + 'static {
    /// The name as in the source.
    fn name(self) -> &'static str;

    /// The table.
    fn rows() -> impl Iterator<Item = Row<Self>>;
}

impl Station for Place {
    fn name(self) -> &'static str {
        self.as_str()
    }

    fn rows() -> impl Iterator<Item = Row<Self>> {
        TRANSITIONS.iter().map(|row| Row {
            from: row.from,
            to: row.to,
            when: row.when,
        })
    }
}

impl Station for PhaseName {
    fn name(self) -> &'static str {
        self.as_str()
    }

    fn rows() -> impl Iterator<Item = Row<Self>> {
        PHASE_TRANSITIONS.iter().map(|row| Row {
            from: row.from,
            to: row.to,
            when: row.when,
        })
    }
}

/// What some seeds have taken.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    seeds: u64,
    sessions: Counts<Place>,
    deliveries: Counts<PhaseName>,
}

/// The rows of one table that some seeds have taken.
#[derive(Clone, Debug)]
struct Counts<P> {
    /// By the row of the table, in how many seeds it was taken.
    rows: BTreeMap<usize, u64>,
    /// Moves that are in no row, with a seed for each.
    strays: BTreeMap<(P, P), u64>,
}

impl<P> Default for Counts<P> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            strays: BTreeMap::new(),
        }
    }
}

impl<P: Station> Counts<P> {
    fn add(
        &mut self,
        seed: u64,
        rows: impl Iterator<Item = usize>,
        strays: impl Iterator<Item = (P, P)>,
    ) {
        for row in rows {
            *self.rows.entry(row).or_default() += 1;
        }
        for stray in strays {
            self.strays.entry(stray).or_insert(seed);
        }
    }

    fn merge(&mut self, other: Self) {
        for (row, count) in other.rows {
            *self.rows.entry(row).or_default() += count;
        }
        for (stray, seed) in other.strays {
            self.strays.entry(stray).or_insert(seed);
        }
    }

    fn faults(&self, seeds: u64, reasons: &[Reason<P>]) -> Vec<String> {
        let strays = self.strays.iter().map(|((from, to), seed)| {
            let (from, to) = (from.name(), to.name());
            format!("{from} -> {to} is not in the table (seed {seed})")
        });
        let rows = P::rows().enumerate().filter_map(|(number, row)| {
            let name = name(&row);
            let reach = reason(reasons, &row).map(|reason| reason.reach);
            match (self.count(number), reach) {
                (0, None) if seeds >= ENOUGH => Some(format!("{name} was never taken")),
                (0, _) | (_, None | Some(Reach::Seldom)) => None,
                (count, Some(Reach::Never)) => Some(format!(
                    "{name} was taken in {count} seeds, and is said to be out of reach"
                )),
            }
        });
        strays.chain(rows).collect()
    }

    fn count(&self, row: usize) -> u64 {
        self.rows.get(&row).copied().unwrap_or(0)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, seeds: u64, reasons: &[Reason<P>]) -> fmt::Result {
        let (reached, all) = (self.rows.len(), P::rows().count());
        writeln!(f, "{reached} of {all} transitions in {seeds} seeds")?;
        for (number, row) in P::rows().enumerate() {
            let (name, when) = (name(&row), row.when);
            let count = self.count(number);
            write!(f, "{name:<36} {count:>9}  {when}")?;
            if let Some(reason) = reason(reasons, &row).filter(|_| count == 0) {
                write!(f, " ({:?}: {})", reason.reach, reason.why)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Coverage {
    /// Counts what the sessions and the deliveries of a seed have taken.
    pub fn add(&mut self, seed: u64, taken: &Taken, phases: &PhasesTaken) {
        self.seeds += 1;
        self.sessions.add(seed, taken.rows(), taken.strays());
        self.deliveries.add(seed, phases.rows(), phases.strays());
    }

    /// Counts what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.sessions.merge(other.sessions);
        self.deliveries.merge(other.deliveries);
    }

    /// The mistakes in the tables, or in the reasons for what is never taken. From
    /// [`ENOUGH`] seeds on that includes transitions without such a reason.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.sessions.faults(self.seeds, REASONS);
        faults.extend(self.deliveries.faults(self.seeds, PHASE_REASONS));
        faults
    }
}

impl fmt::Display for Coverage {
    /// Tables of all transitions, with the number of seeds that took each, or why none
    /// does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sessions.show(f, self.seeds, REASONS)?;
        writeln!(f)?;
        self.deliveries.show(f, self.seeds, PHASE_REASONS)
    }
}

fn name<P: Station>(row: &Row<P>) -> String {
    format!("{} -> {}", row.from.name(), row.to.name())
}

fn reason<'a, P: Station>(reasons: &'a [Reason<P>], row: &Row<P>) -> Option<&'a Reason<P>> {
    let is_it =
        |reason: &&Reason<P>| reason.from.contains(&row.from) && reason.to.contains(&row.to);
    reasons.iter().find(is_it)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EXCUSES: &[Reason<Place>] = &[
        Reason {
            reach: Reach::Never,
            from: &[Place::Banner],
            to: &[Place::Helo, Place::Lhlo],
            why: "nobody says so",
        },
        Reason {
            reach: Reach::Seldom,
            from: &[Place::Banner],
            to: &[Place::Lost],
            why: "few lose their way",
        },
    ];

    fn taken(to: Place) -> Taken {
        [(Place::Banner, to)].into_iter().collect()
    }

    /// Enough seeds that take every row, but those from the greeting to `left_out`.
    fn all_but(left_out: &[Place]) -> Coverage {
        let rows = TRANSITIONS.iter().map(|row| (row.from, row.to));
        let is_left_out =
            |(from, to): &(Place, Place)| *from == Place::Banner && left_out.contains(to);
        let taken: Taken = rows.filter(|ends| !is_left_out(ends)).collect();
        let mut coverage = Coverage::default();
        (0..ENOUGH).for_each(|seed| coverage.add(seed, &taken, &PhasesTaken::default()));
        coverage
    }

    #[test]
    fn what_is_taken_or_explained_is_no_fault() {
        for left_out in [
            &[Place::Helo, Place::Lhlo][..],
            &[Place::Helo, Place::Lhlo, Place::Lost],
        ] {
            let coverage = all_but(left_out);
            assert_eq!(
                coverage.sessions.faults(coverage.seeds, EXCUSES),
                [] as [&str; 0]
            );
        }
    }

    #[test]
    fn what_is_neither_taken_nor_explained_is_a_fault_after_enough_seeds() {
        let left_out = [Place::Ehlo, Place::Helo, Place::Lhlo];
        let mut coverage = all_but(&left_out);
        assert_eq!(
            coverage.sessions.faults(coverage.seeds, EXCUSES),
            ["Banner -> Ehlo was never taken"]
        );
        coverage.seeds -= 1;
        assert_eq!(
            coverage.sessions.faults(coverage.seeds, EXCUSES),
            [] as [&str; 0]
        );
    }

    #[test]
    fn what_is_taken_although_it_is_explained_is_a_fault() {
        let mut coverage = Coverage::default();
        coverage.add(7, &taken(Place::Helo), &PhasesTaken::default());
        let expected = "Banner -> Helo was taken in 1 seeds, and is said to be out of reach";
        assert_eq!(
            coverage.sessions.faults(coverage.seeds, EXCUSES),
            [expected]
        );
    }

    #[test]
    fn a_move_that_is_not_in_the_table_is_a_fault() {
        let mut coverage = Coverage::default();
        coverage.add(7, &taken(Place::Text), &PhasesTaken::default());
        coverage.merge(coverage.clone());
        let expected = "Banner -> Text is not in the table (seed 7)";
        assert_eq!(
            coverage.sessions.faults(coverage.seeds, EXCUSES),
            [expected]
        );
    }

    #[test]
    fn seeds_are_counted_by_row() {
        let mut coverage = Coverage::default();
        coverage.add(1, &taken(Place::Ehlo), &PhasesTaken::default());
        coverage.add(2, &taken(Place::Lost), &PhasesTaken::default());
        let mut other = Coverage::default();
        other.add(3, &taken(Place::Ehlo), &PhasesTaken::default());
        coverage.merge(other);
        let text = coverage.to_string();
        let count = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .next()
                .unwrap()
                .to_owned()
        };
        assert!(text.starts_with(&format!(
            "2 of {} transitions in 3 seeds",
            TRANSITIONS.len()
        )));
        assert_eq!(count("Banner -> Ehlo"), "2");
        assert_eq!(count("Banner -> Closed(Lost)"), "1");
        assert_eq!(count("Banner -> Lhlo"), "0");
    }

    #[test]
    fn every_reason_is_about_rows_of_its_table_that_no_other_is_about() {
        fn check<P: Station>(reasons: &[Reason<P>]) {
            let mut about = BTreeSet::new();
            for reason in reasons {
                for from in reason.from {
                    for to in reason.to {
                        let is_row = P::rows().any(|row| (row.from, row.to) == (*from, *to));
                        let (from_name, to_name) = (from.name(), to.name());
                        assert!(is_row && about.insert((from, to)), "{from_name} {to_name}");
                    }
                }
            }
        }
        check(REASONS);
        check(PHASE_REASONS);
    }

    #[test]
    fn a_move_of_a_delivery_that_is_not_in_the_table_is_a_fault() {
        let mut coverage = Coverage::default();
        let stray = [(PhaseName::Start, PhaseName::Done)].into_iter().collect();
        coverage.add(7, &Taken::default(), &stray);
        let expected = "Start -> Done is not in the table (seed 7)";
        assert_eq!(coverage.faults(), [expected]);
    }
}
