use super::*;

const MINUTES: i64 = 60;
const HOURS: i64 = 3600;
const DAYS: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn time(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

#[test]
fn the_pause_is_the_age_within_its_limits() {
    let rules = Schedule::default();
    for (age, pause) in [
        // The clock was set back.
        (-1000, 5 * MINUTES),
        (0, 5 * MINUTES),
        (5 * MINUTES - 1, 5 * MINUTES),
        (5 * MINUTES, 5 * MINUTES),
        (5 * MINUTES + 1, 5 * MINUTES + 1),
        (10 * MINUTES, 10 * MINUTES),
        (20 * MINUTES, 20 * MINUTES),
        (40 * MINUTES, 40 * MINUTES),
        (3999, 3999),
        (4000, 4000),
        (67 * MINUTES, 4000),
        (80 * MINUTES, 4000),
        (4 * DAYS, 4000),
    ] {
        let now = 1_000_000 + age;
        let next = rules.next_attempt(at(1_000_000), at(now));
        assert_eq!(next, at(now + pause), "{age}");
    }
}

#[test]
fn mail_that_is_never_taken_is_tried_more_and_more_seldom() {
    let rules = Schedule::default();
    let mut now = at(0);
    let pauses = [5, 5, 10, 20, 40].map(|minutes| minutes * MINUTES);
    for (number, pause) in pauses.into_iter().chain([4000; 5]).enumerate() {
        let next = rules.next_attempt(at(0), now);
        assert_eq!(next.since(now), time(pause), "after attempt {number}");
        now = next;
    }
}

#[test]
fn a_minimal_back_off_above_the_maximal_one_wins() {
    let rules = Schedule {
        minimal_backoff: time(600),
        maximal_backoff: time(300),
        ..Schedule::default()
    };
    for age in [0, 299, 300, 450, 600, 601, 100_000] {
        assert_eq!(rules.next_attempt(at(0), at(age)), at(age + 600), "{age}");
    }
}

#[test]
fn mail_of_the_null_sender_expires_no_later_than_other_mail() {
    let (mail, null) = (false, true);
    for (of_mail, of_bounces, null_sender, expires) in [
        (5 * DAYS, DAYS, mail, 5 * DAYS),
        (5 * DAYS, DAYS, null, DAYS),
        (5 * DAYS, 7 * DAYS, null, 5 * DAYS),
        (5 * DAYS, 0, mail, 5 * DAYS),
        (5 * DAYS, 0, null, 0),
        (0, 5 * DAYS, mail, 0),
        (0, 5 * DAYS, null, 0),
    ] {
        let rules = Schedule {
            maximal_lifetime: time(of_mail),
            bounce_lifetime: time(of_bounces),
            ..Schedule::default()
        };
        let found = rules.expires(null_sender, at(77));
        let row = (of_mail, of_bounces, null_sender);
        assert_eq!(found, at(77 + expires), "{row:?}");
    }
    let rules = Schedule {
        maximal_lifetime: Duration::MAX,
        ..Schedule::default()
    };
    assert_eq!(rules.expires(false, at(77)), Timestamp::NEVER);
}

#[test]
fn the_sender_hears_of_a_delay_where_there_is_one_to_hear() {
    let (mail, null) = (false, true);
    for (warning, null_sender, warns) in [
        (None, mail, None),
        (None, null, None),
        (Some(0), mail, None),
        (Some(4 * HOURS), mail, Some(4 * HOURS)),
        (Some(4 * HOURS), null, None),
    ] {
        let rules = Schedule {
            delay_warning: warning.map(time),
            ..Schedule::default()
        };
        let wanted = warns.map_or(Timestamp::NEVER, |after| at(77 + after));
        let row = (warning, null_sender);
        assert_eq!(rules.warns(null_sender, at(77)), wanted, "{row:?}");
    }
}

#[test]
fn a_task_is_watched_for_its_warning_and_then_for_its_end() {
    let (mail, null) = (false, true);
    let (new, warned) = (false, true);
    let none = 0;
    for (lifetime, minimal, warning, null_sender, has_warned, watch) in [
        (5 * DAYS, 300, none, mail, new, 5 * DAYS),
        (5 * DAYS, 300, none, null, new, DAYS),
        (5 * DAYS, 300, 4 * HOURS, mail, new, 4 * HOURS),
        (5 * DAYS, 300, 4 * HOURS, mail, warned, 5 * DAYS),
        (5 * DAYS, 300, 4 * HOURS, null, new, DAYS),
        // The end comes before the warning.
        (2 * HOURS, 300, 4 * HOURS, mail, new, 2 * HOURS),
        // It is to be tried once: it gets a back-off in which to find a turn.
        (0, 300, none, mail, new, 4000),
        (0, 300, none, null, new, 4000),
        (3999, 300, none, mail, new, 4000),
        (4001, 300, none, mail, new, 4001),
        (0, 5000, none, mail, new, 5000),
    ] {
        let rules = Schedule {
            minimal_backoff: time(minimal),
            maximal_backoff: time(4000),
            maximal_lifetime: time(lifetime),
            bounce_lifetime: time(DAYS),
            delay_warning: Some(time(warning)),
        };
        let found = rules.watch(null_sender, at(77), has_warned);
        let row = (lifetime, minimal, warning, null_sender, has_warned);
        assert_eq!(found, at(77 + watch), "{row:?}");
    }
}

#[test]
fn reports_of_the_queue_have_the_null_sender() {
    for (kind, sender, null) in [
        (Kind::Mail, "me@example.org", false),
        (Kind::Mail, "", true),
        (Kind::Report, "", true),
        (Kind::Report, "tls@example.org", true),
    ] {
        assert_eq!(is_null(kind, sender), null, "{kind:?} {sender}");
    }
}
