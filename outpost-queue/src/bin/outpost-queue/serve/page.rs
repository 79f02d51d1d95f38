//! The page for people: one look at the queue. It asks for nothing from elsewhere, runs no script, and looks again every ten
//! seconds.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use outpost_queue::{model::Timestamp, operation::State};

use crate::view::{date, elsewhere, numbers, span};

/// The sources from which the page may take things: none. Its style is in it.
pub(crate) const SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");

/// The contents of the page.
pub(crate) struct Facts<'a> {
    /// The store, without a password.
    pub(crate) store: &'a str,
    /// The worker.
    pub(crate) worker: &'a str,
    /// The state that the store reports, or the reason why it reports none.
    pub(crate) state: Result<&'a State, &'a str>,
    /// Verdicts of this worker by status.
    pub(crate) verdicts: [(&'static str, u64); 3],
}

/// The page.
pub(crate) fn render(facts: &Facts<'_>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="10";
                title { "Outpost queue" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Outpost queue" }
                    p { (facts.store) }
                }
                main {
                    @match facts.state {
                        Ok(state) => (of_state(state)),
                        Err(why) => p.trouble role="alert" { "The store does not answer: " (why) },
                    }
                    (of_worker(facts))
                }
            }
        }
    };
    page.into_string()
}

fn of_worker(facts: &Facts<'_>) -> Markup {
    html! {
        section {
            h2 { "This worker" }
            p { (facts.worker) }
            dl {
                @for (word, number) in facts.verdicts {
                    div { dt { (word) } dd { (grouped(number)) } }
                }
            }
        }
    }
}

fn of_state(state: &State) -> Markup {
    let State { now, counts, .. } = state;
    html! {
        section {
            dl {
                @for (name, number) in numbers(counts) {
                    div { dt { (name) } dd { (grouped(number)) } }
                }
                @if counts.oldest != Timestamp::NEVER {
                    div { dt { "age of the oldest task" } dd { (span(now.since(counts.oldest))) } }
                }
            }
            p.time { (date(*now)) " UTC, by the clock of the store" }
        }
        (of_destinations(state))
    }
}

fn of_destinations(state: &State) -> Markup {
    let State { now, loads, .. } = state;
    html! {
        section {
            h2 { "Destinations" }
            @let elsewhere = elsewhere(state);
            @if loads.is_empty() && elsewhere.is_none() {
                p { "Nothing waits." }
            }
            @if !loads.is_empty() {
                div.wide { table {
                    thead { tr {
                        th scope="col" { "destination" }
                        th.number scope="col" { "tasks" }
                        th.number scope="col" { "running" }
                        th.number scope="col" { "at a time" }
                        th.number scope="col" { "oldest" }
                    } }
                    tbody {
                        @for load in loads {
                            @let destination = &load.destination;
                            tr {
                                th scope="row" {
                                    (destination.name.as_str())
                                    @if let Some(dead) = destination.dead.as_ref().filter(|dead| dead.until > *now) {
                                        small.trouble { "rests for " (span(dead.until.since(*now))) ": " (dead.why) }
                                    }
                                }
                                td.number { (grouped(load.tasks)) }
                                td.number { (destination.running) }
                                td.number { (destination.window) }
                                td.number { (span(now.since(load.oldest))) }
                            }
                        }
                    }
                } }
            }
            @if let Some(line) = elsewhere {
                p { (line) }
            }
        }
    }
}

/// A number with narrow spaces between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 6);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use outpost_queue::{
        model::{Counts, Dead, Destination, Load},
        rules::Concurrency,
    };

    use super::*;

    #[test]
    fn what_strangers_write_is_text() {
        let mut destination =
            Destination::new("smtp:example.com".parse().unwrap(), &Concurrency::default());
        destination.dead = Some(Dead {
            until: Timestamp::from_micros(9_000_000),
            why: "<script>alert('\"&')</script>".to_owned(),
        });
        let state = State {
            now: Timestamp::from_micros(0),
            counts: Counts::default(),
            loads: vec![Load {
                destination,
                tasks: 1_234_567,
                oldest: Timestamp::from_micros(0),
            }],
        };
        let facts = |state| Facts {
            store: "<b>store</b>",
            worker: "<i>worker</i>",
            state,
            verdicts: [("sent", 1), ("deferred", 2), ("bounced", 3)],
        };
        let page = render(&facts(Ok(&state)));
        assert!(page.contains("&lt;script&gt;alert("), "{page}");
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<i>"));
        assert!(page.contains("1\u{202f}234\u{202f}567"), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
        assert!(!page.contains("Nothing waits"), "{page}");
        let page = render(&facts(Err("<gone>")));
        assert!(page.contains("does not answer: &lt;gone&gt;"), "{page}");
    }

    #[test]
    fn what_is_for_no_destination_of_the_list_is_told() {
        let render = |new| {
            let mut counts = Counts::default();
            counts.new = new;
            render(&Facts {
                store: "store",
                worker: "worker",
                state: Ok(&State {
                    now: Timestamp::default(),
                    counts,
                    loads: Vec::new(),
                }),
                verdicts: [("sent", 0), ("deferred", 0), ("bounced", 0)],
            })
        };
        assert!(render(0).contains("Nothing waits."));
        let page = render(2);
        assert!(page.contains("<p>2 tasks for destinations beyond this list"));
        assert!(!page.contains("Nothing waits."), "{page}");
    }
}
