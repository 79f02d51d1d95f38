#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::{collection, prelude::*};

use super::*;

const REST: Duration = Duration::from_secs(300);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn destination(rules: &Concurrency) -> Destination {
    Destination::new("smtp:example.com".parse().unwrap(), rules)
}

fn rules(positive: &str, negative: &str) -> Concurrency {
    Concurrency {
        positive: positive.parse().unwrap(),
        negative: negative.parse().unwrap(),
        ..Concurrency::default()
    }
}

/// The report on a destination with so many deliveries out, and its state then: window, success, failure, cohorts.
type Step = (char, u32, (u32, f64, f64, f64));

#[track_caller]
fn play(rules: &Concurrency, steps: &[Step]) -> Destination {
    let mut one = destination(rules);
    for (number, (what, running, wanted)) in steps.iter().enumerate() {
        one.running = *running;
        match what {
            '+' => one.succeeded(rules),
            _ => one.failed(rules, REST, "connection refused", at(0)),
        }
        let found = (one.window, one.success, one.failure, one.fail_cohorts);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let same = found.0 == wanted.0
            && near(found.1, wanted.1)
            && near(found.2, wanted.2)
            && near(found.3, wanted.3);
        assert!(same, "step {number}: {found:?} instead of {wanted:?}");
    }
    one
}

#[test]
fn good_deliveries_open_the_window_as_far_as_it_is_used() {
    // The window is no larger than what is out and the initial concurrency together.
    let steps = [
        ('+', 1, (6, 0.0, 0.0, 0.0)),
        ('+', 1, (6, 0.0, 0.0, 0.0)),
        ('+', 2, (7, 0.0, 0.0, 0.0)),
        ('+', 20, (8, 0.0, 0.0, 0.0)),
    ];
    play(&rules("1", "1"), &steps);
    // Half a step ahead of the whole one.
    let steps = [
        ('+', 9, (5, 0.2, 0.0, 0.0)),
        ('+', 9, (5, 0.4, 0.0, 0.0)),
        ('+', 9, (5, 0.6, 0.0, 0.0)),
        ('+', 9, (5, 0.8, 0.0, 0.0)),
        ('+', 9, (6, 0.0, 0.0, 0.0)),
        ('+', 9, (6, 1.0 / 6.0, 0.0, 0.0)),
    ];
    play(&rules("1/concurrency", "1"), &steps);
    let limit = Concurrency {
        limit: 6,
        ..Concurrency::default()
    };
    let steps = [('+', 6, (6, 0.0, 0.0, 0.0)), ('+', 6, (6, 0.0, 0.0, 0.0))];
    play(&limit, &steps);
    let none = Concurrency {
        limit: 0,
        ..Concurrency::default()
    };
    let steps: Vec<Step> = (6..60)
        .map(|window| ('+', 99, (window, 0.0, 0.0, 0.0)))
        .collect();
    play(&none, &steps);
}

#[test]
fn failures_close_the_window_at_once_and_then_the_destination() {
    // The first failure takes effect at the beginning of its cycle, and of the next.
    let third = 1.0 / 3.0;
    let steps = [
        ('-', 5, (3, 0.0, 1.0, 0.2)),
        ('-', 4, (2, 0.0, 1.0, 0.2 + third)),
        ('-', 3, (2, 0.0, 1.0, 0.7 + third)),
        // It is dead: nothing else counts.
        ('-', 2, (2, 0.0, 1.0, 0.7 + third)),
    ];
    let one = play(&rules("1", "1"), &steps);
    let dead = one.dead.unwrap();
    assert_eq!(
        (dead.until, dead.why.as_str()),
        (at(300), "connection refused")
    );
    let steps = [
        ('-', 5, (4, 0.0, 0.8, 0.2)),
        ('-', 5, (4, 0.0, 0.55, 0.45)),
        ('-', 5, (4, 0.0, 0.3, 0.7)),
        ('-', 5, (3, 0.0, 1.05, 0.95)),
        ('-', 5, (3, 0.0, 1.05, 0.95 + third)),
    ];
    assert!(play(&rules("1", "1/concurrency"), &steps).dead.is_some());
    // A good delivery begins the cohort anew, but not the cycle; a window that grows does.
    let steps = [
        ('-', 5, (4, 0.0, 0.8, 0.2)),
        ('+', 3, (4, 0.25, 0.8, 0.0)),
        ('-', 3, (4, 0.25, 0.55, 0.25)),
        ('+', 3, (4, 0.5, 0.55, 0.0)),
        ('+', 3, (4, 0.75, 0.55, 0.0)),
        ('+', 3, (5, 0.0, 0.0, 0.0)),
    ];
    play(&rules("1/concurrency", "1/concurrency"), &steps);
    let patient = Concurrency {
        failed_cohorts: 0,
        ..Concurrency::default()
    };
    let one = play(&patient, &[('-', 5, (3, 0.0, 1.0, 0.2))]);
    assert_eq!(one.dead, None);
}

#[test]
fn a_dead_destination_gets_the_initial_window_after_its_rest() {
    let rules = Concurrency::default();
    // Deliveries that are out, seconds after the failure, free turns, and the window once it is awake.
    for (running, second, free, window) in [
        (0, 299, 0, None),
        (0, 300, 5, Some(5)),
        (3, 300, 0, Some(3)),
        (30, 301, 0, Some(30)),
    ] {
        let mut one = destination(&rules);
        (one.window, one.running, one.fail_cohorts) = (1, 0, 0.9);
        one.failed(&rules, REST, "timed out", at(0));
        one.running = running;
        assert_eq!(
            one.free_turns(&rules, at(second)),
            free,
            "{running} {second}"
        );
        one.wake(&rules, at(second));
        match window {
            None => assert!(one.dead.is_some()),
            Some(window) => assert_eq!((one.window, one.fail_cohorts), (window, 0.0)),
        }
        assert_eq!(
            one.free_turns(&rules, at(second)),
            free,
            "{running} {second}"
        );
    }
    // A delivery that was out and went well ends the rest.
    let mut one = destination(&rules);
    (one.window, one.running) = (1, 3);
    one.failed(&rules, REST, "timed out", at(0));
    one.succeeded(&rules);
    assert_eq!((one.window, one.dead.is_none()), (3, true));
}

#[test]
fn a_rate_delay_lets_one_delivery_through_and_then_waits() {
    let rules = Concurrency {
        rate_delay: Duration::from_secs(10),
        ..Concurrency::default()
    };
    let mut one = destination(&rules);
    assert_eq!((one.window, one.free_turns(&rules, at(0))), (1, 1));
    one.take_turns(1);
    assert_eq!(one.free_turns(&rules, at(0)), 0);
    one.succeeded(&rules);
    one.give_back(&rules, at(5));
    assert_eq!(one.window, 1);
    one.set_ready(&rules, at(0), at(5));
    assert_eq!(one.ready_at, at(15));
    assert_eq!(
        (
            one.free_turns(&rules, at(14)),
            one.free_turns(&rules, at(15))
        ),
        (0, 1)
    );
    one.take_turns(1);
    one.give_back_unused();
    assert_eq!(one.free_turns(&rules, at(15)), 1);
}

#[test]
fn a_destination_is_looked_at_when_a_task_is_due_and_a_turn_is_free() {
    let rules = Concurrency::default();
    let never = Timestamp::NEVER;
    // Deliveries that are out, rest until, the next task is due, and when somebody looks; it is second 100.
    for (running, rest, due, ready) in [
        (0, None, never, never),
        (0, None, at(200), at(200)),
        // What is due already goes to the end of the line.
        (0, None, at(50), at(100)),
        (4, None, at(50), at(100)),
        (5, None, at(50), never),
        (0, Some(at(300)), at(50), at(300)),
        (0, Some(at(300)), at(400), at(400)),
        (0, Some(at(300)), never, never),
        (2, Some(at(300)), at(50), never),
        (0, Some(at(60)), at(50), at(100)),
    ] {
        let mut one = destination(&rules);
        one.running = running;
        one.dead = rest.map(|until| Dead {
            until,
            why: String::new(),
        });
        one.set_ready(&rules, due, at(100));
        assert_eq!(one.ready_at, ready, "{running} {rest:?} {due}");
    }
}

#[test]
fn what_is_idle_is_forgotten() {
    let rules = Concurrency::default();
    for (running, due, window) in [(0, 50, 2), (1, 200, 2), (0, 200, 5)] {
        let mut one = destination(&rules);
        (one.window, one.fail_cohorts, one.running) = (2, 0.7, running);
        one.set_ready(&rules, at(due), at(100));
        assert_eq!(one.window, window, "{running} {due}");
        assert_eq!(one.fail_cohorts == 0.0, window == 5);
    }
}

#[test]
fn feedback_is_read_as_postfix_writes_it() {
    use Feedback::{Constant, Inverse, InverseRoot};
    for (text, wanted, written) in [
        ("1", Constant(1.0), "1"),
        ("0", Constant(0.0), "0"),
        (" 0.5 ", Constant(0.5), "0.5"),
        ("1/8", Constant(0.125), "0.125"),
        ("3 / 4", Constant(0.75), "0.75"),
        ("1/concurrency", Inverse(1.0), "1/concurrency"),
        ("0.5 / Concurrency", Inverse(0.5), "0.5/concurrency"),
        ("1/sqrt_concurrency", InverseRoot(1.0), "1/sqrt_concurrency"),
    ] {
        let found: Feedback = text.parse().unwrap();
        assert_eq!((found, found.to_string().as_str()), (wanted, written));
        assert_eq!(written.parse(), Ok(found));
    }
    for (text, wrong) in [
        ("", "there is no number"),
        ("/concurrency", "there is no number"),
        ("one", "it begins with no number"),
        ("NaN", "NaN is not between 0 and 1"),
        ("inf", "inf is not between 0 and 1"),
        ("-1", "-1 is not between 0 and 1"),
        ("1.5", "1.5 is not between 0 and 1"),
        ("2/sqrt_concurrency", "2 is not between 0 and 1"),
        ("3/2", "1.5 is not between 0 and 1"),
        ("1/", "nothing follows the slash"),
        ("1/0", "0 cannot follow the slash"),
        ("1/NaN", "NaN cannot follow the slash"),
        (
            "1/window",
            "what follows the slash is no number, concurrency or sqrt_concurrency",
        ),
        (
            "1/2/3",
            "what follows the slash is no number, concurrency or sqrt_concurrency",
        ),
    ] {
        let error = text.parse::<Feedback>().unwrap_err();
        assert_eq!(error.to_string(), format!("feedback \"{text}\": {wrong}"));
    }
}

/// The arithmetic of `qmgr_queue.c`, in its words: windows are numbers, and zero is a dead one.
#[derive(Debug)]
struct Qmgr {
    window: i64,
    busy: i64,
    success: f64,
    failure: f64,
    fail_cohorts: f64,
    throttled: bool,
}

impl Qmgr {
    fn unthrottle(&mut self, rules: &Concurrency) {
        self.fail_cohorts = 0.0;
        if self.throttled {
            self.throttled = false;
            self.window = match self.busy > 0 {
                true => self.busy,
                false => i64::from(rules.initial),
            };
            (self.success, self.failure) = (0.0, 0.0);
            return;
        }
        let limit = i64::from(rules.limit);
        if (limit == 0 || limit > self.window) && self.window < self.busy + i64::from(rules.initial)
        {
            let feedback = rules.positive.value(u32::try_from(self.window).unwrap());
            self.success += feedback;
            while self.success + feedback / 2.0 >= 1.0 {
                self.window += 1;
                self.success -= 1.0;
                self.failure = 0.0;
            }
            if limit > 0 && self.window > limit {
                self.window = limit;
            }
        }
    }

    fn throttle(&mut self, rules: &Concurrency) {
        self.fail_cohorts += 1.0 / f64::from(u32::try_from(self.window).unwrap());
        if rules.failed_cohorts > 0 && self.fail_cohorts >= f64::from(rules.failed_cohorts) {
            self.throttled = true;
            return;
        }
        let feedback = rules.negative.value(u32::try_from(self.window).unwrap());
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 {
            self.window -= 1;
            self.success = 0.0;
            self.failure += 1.0;
        }
        if self.window < 1 {
            self.window = 1;
        }
    }
}

fn feedback() -> impl Strategy<Value = Feedback> {
    let number = prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0];
    (number, 0..3).prop_map(|(number, kind)| match kind {
        0 => Feedback::Constant(number),
        1 => Feedback::Inverse(number),
        _ => Feedback::InverseRoot(number),
    })
}

proptest! {
    #[test]
    fn windows_are_those_of_qmgr(
        positive in feedback(),
        negative in feedback(),
        initial in 1_u32..8,
        above in prop_oneof![Just(None), (0_u32..20).prop_map(Some)],
        failed_cohorts in 0_u32..3,
        steps in collection::vec(0_u8..8, 1..300),
    ) {
        let limit = above.map_or(0, |above| initial + above);
        let rules = Concurrency {
            initial, limit, positive, negative, failed_cohorts, rate_delay: Duration::ZERO,
        };
        let mut ours = destination(&rules);
        let mut theirs = Qmgr {
            window: i64::from(initial), busy: 0, success: 0.0, failure: 0.0, fail_cohorts: 0.0, throttled: false,
        };
        let mut now = at(0);
        for step in steps {
            match step {
                0..=3 if ours.free_turns(&rules, now) > 0 => {
                    ours.take_turns(1);
                    theirs.busy += 1;
                }
                4 | 5 if ours.running > 0 => {
                    ours.succeeded(&rules);
                    ours.give_back(&rules, now);
                    theirs.unthrottle(&rules);
                    theirs.busy -= 1;
                }
                6 if ours.running > 0 => {
                    ours.failed(&rules, REST, "it", now);
                    ours.give_back(&rules, now);
                    if !theirs.throttled {
                        theirs.throttle(&rules);
                    }
                    theirs.busy -= 1;
                }
                7 => {
                    now = now.after(REST);
                    ours.wake(&rules, now);
                    if theirs.throttled {
                        theirs.unthrottle(&rules);
                    }
                }
                _ => {}
            }
            let free = match theirs.throttled {
                true => 0,
                false => (theirs.window - theirs.busy).max(0),
            };
            prop_assert_eq!(i64::from(ours.free_turns(&rules, now)), free);
            prop_assert_eq!(ours.dead.is_some(), theirs.throttled);
            prop_assert_eq!(
                (i64::from(ours.window), ours.success, ours.failure, ours.fail_cohorts),
                (theirs.window, theirs.success, theirs.failure, theirs.fail_cohorts)
            );
        }
    }
}
