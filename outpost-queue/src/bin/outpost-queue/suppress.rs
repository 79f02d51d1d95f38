//! `outpost-queue suppress`: addresses that get no mail.

use std::time::Duration;

use anyhow::Context;
use outpost::{Address, address};
use outpost_queue::{
    model::Timestamp,
    operation::{ListSuppressed, Suppress, Unsuppress},
    store::Store,
};

use crate::{
    cli::{SuppressArgs, SuppressCommand},
    exit::{Exit, Failure, OrExit},
    manage::counted,
    output::{Output, complain},
    place::{Missing, Place},
    settings,
    view::date,
};

/// The number of addresses of a transaction.
const PAGE: usize = 1000;

/// Lists, adds or removes addresses.
pub(crate) async fn run(args: &SuppressArgs) -> Result<Exit, Failure> {
    let mut output = Output::default();
    match &args.command {
        SuppressCommand::List { place } => {
            let store = Place::of(place)?.open(Missing::Refuse).await?;
            list(&store, &mut output).await?;
        }
        SuppressCommand::Add {
            addresses,
            why,
            time,
            place,
        } => {
            let suppress = Suppress {
                addresses: parse(addresses)?,
                why: why.clone(),
                time: time.unwrap_or(Duration::MAX),
            };
            let count = suppress.addresses.len() as u64;
            let settings = settings::read(&place.settings)?;
            if settings.queueing.rules.suppression.is_none() {
                complain(
                    "warning: workers pass over these addresses unless queue_suppression_time is set",
                );
            }
            let store = Place::of(place)?.open(Missing::Make).await?;
            store.run(suppress).await?;
            output.line(format_args!("{} suppressed", counted(count, "recipient")));
        }
        SuppressCommand::Remove { addresses, place } => {
            let addresses = parse(addresses)?;
            let store = Place::of(place)?.open(Missing::Refuse).await?;
            let removed = store.run(Unsuppress { addresses }).await? as u64;
            output.line(format_args!("{} removed", counted(removed, "recipient")));
        }
    }
    output.finish(Exit::Ok)
}

async fn list(store: &impl Store, output: &mut Output) -> Result<(), Failure> {
    let mut after = String::new();
    while output.is_sound() {
        let page = store
            .run(ListSuppressed {
                after: after.clone(),
                limit: PAGE,
            })
            .await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.address);
        for one in &page {
            let until = match one.until {
                Timestamp::NEVER => "for good".to_owned(),
                until => format!("until {}", date(until)),
            };
            output.line(format_args!("{}  {until}: {}", one.address, one.why));
        }
    }
    Ok(())
}

fn parse(texts: &[String]) -> Result<Vec<Address>, Failure> {
    let parse = |text: &String| {
        let address = address::parse(text).with_context(|| format!("address '{text}'"));
        address.or_exit(Exit::Usage)
    };
    texts.iter().map(parse).collect()
}
