//! `outpost-queue list`, `show`, `stats`: what is in the queue, for people and as JSON.

mod json;
mod text;

pub(crate) use text::{date, elsewhere, numbers, span};

use outpost_queue::{
    model::{Filter, MessageState},
    operation::{List, Show, Survey},
    store::Store,
};

use crate::{
    cli::{FilterArgs, ListArgs, ShowArgs, StateName, StatsArgs},
    exit::{Exit, Failure},
    output::Output,
    place::{Missing, Place},
};

/// The number of messages of a transaction.
const PAGE: usize = 200;

/// Lists messages.
pub(crate) async fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let store = Place::of(&args.place)?.open(Missing::Refuse).await?;
    let mut filter = filter(&store, &args.filter).await?;
    filter.state = args.state.map(|state| match state {
        StateName::Arriving => MessageState::Arriving,
        StateName::Queued => MessageState::Queued,
        StateName::Finished => MessageState::Finished,
    });
    let mut output = Output::default();
    let mut after = args.after;
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut sum = text::Sum::default();
    while left > 0 && output.is_sound() {
        let operation = List {
            filter: filter.clone(),
            after,
            limit: left.min(PAGE),
            recipients: true,
        };
        let (now, page) = store.run(operation).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.message.id);
        left = left.saturating_sub(page.len());
        for listed in &page {
            match args.json {
                true => output.json(&json::listed(listed, now)),
                false => output.text(&text::listed(listed, now, &mut sum)),
            }
        }
    }
    if !args.json {
        output.line(sum.line());
    }
    output.finish(Exit::Ok)
}

/// Shows a message.
pub(crate) async fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let store = Place::of(&args.place)?.open(Missing::Refuse).await?;
    let message = args.id;
    let Some(shown) = store.run(Show { message }).await? else {
        return Err(Failure::new(
            Exit::Data,
            format!("{message}: there is no such message"),
        ));
    };
    let mut output = Output::default();
    match args.json {
        true => output.json_lines(&json::shown(&shown)),
        false => output.text(&text::shown(&shown)),
    }
    output.finish(Exit::Ok)
}

/// Prints numbers.
pub(crate) async fn stats(args: &StatsArgs) -> Result<Exit, Failure> {
    let store = Place::of(&args.place)?.open(Missing::Refuse).await?;
    let destinations = args.destinations;
    let state = store.run(Survey { destinations }).await?;
    let mut output = Output::default();
    match args.json {
        true => output.json_lines(&json::state(&state)),
        false => output.text(&text::state(&state)),
    }
    output.finish(Exit::Ok)
}

/// The messages that the command line wants.
///
/// # Errors
/// The store does not say what time it is.
pub(crate) async fn filter(store: &impl Store, args: &FilterArgs) -> Result<Filter, Failure> {
    let address = |text: &String| match text.trim() {
        "<>" => String::new(),
        text => text.to_lowercase(),
    };
    let mut filter = Filter::default();
    filter.sender = args.sender.as_ref().map(address);
    filter.recipient = args.recipient.as_ref().map(address);
    filter.destination.clone_from(&args.destination);
    filter.held = args.held;
    if let Some(age) = args.older_than {
        // The clock is that of the store.
        let now = store.run(Survey { destinations: 0 }).await?.now;
        filter.before = Some(now.before(age));
    }
    Ok(filter)
}
