//! `outpost probe`: what a delivery would meet, told server by server, without
//! sending anything.

mod json;
mod limits;
mod nagios;
mod several;
mod text;
mod watch;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use smtp_policy::{
    Protocol,
    report::Status,
    request::{Nexthop, Request},
    survey::{Finding, Survey},
};

use crate::{
    cli::{ProbeArgs, ProtocolName},
    envelope::check_next_hop,
    exit::{Exit, Failure, OrExit},
    hints,
    interrupt::Interrupt,
    output::{Output, complain},
    runtime::Worker,
    settings,
};
pub(crate) use limits::{Days, Limits, Seconds};
use watch::{Progress, Watch};

/// A finding, with what the log says about it.
#[derive(Debug)]
struct Seen {
    finding: Finding,
    /// Lines of the log that came before it, and after the finding before.
    log: Vec<String>,
    /// The time since the finding before, or since the begin.
    took: Duration,
}

/// Looks at the destinations that the command line asks for.
pub(crate) fn run(args: &ProbeArgs) -> Result<Exit, Failure> {
    if args.nagios {
        return nagios::run(args);
    }
    match (args.destination.as_slice(), &args.from_file) {
        ([destination], None) => one(args, destination),
        _ => several::run(args),
    }
}

/// Says that the command line is wrong to a monitoring system.
pub(crate) fn misused(answer: &clap::Error) -> Result<Exit, Failure> {
    let text = answer.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    nagios::unknown(line.trim_start_matches("error: "))
}

const fn protocol(args: &ProbeArgs) -> Protocol {
    match args.protocol {
        ProtocolName::Smtp => Protocol::Smtp,
        ProtocolName::Lmtp => Protocol::Lmtp,
    }
}

/// A look at this destination.
fn request(args: &ProbeArgs, destination: Nexthop) -> Request {
    let survey = args.address.map_or_else(Survey::default, Survey::only);
    Request::survey(protocol(args), destination, survey)
}

/// Looks at a single destination, and shows each server as soon as it has been visited.
fn one(args: &ProbeArgs, name: &str) -> Result<Exit, Failure> {
    let destination = name.parse().or_exit(Exit::Usage)?;
    let policy = settings::policy(&args.surroundings)?;
    let protocol = protocol(args);
    check_next_hop(&policy, protocol, name, "destination")?;
    let mta_sts = args.surroundings.sts.mta_sts;
    hints::next_hop(&policy, protocol, name, mta_sts);
    let worker = Worker::start(args.surroundings.runtime, policy).or_exit(Exit::System)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    interrupt.on_first(worker.canceller());

    let progress = Progress::start(name);
    let show: fn(&Seen) -> String = if args.json {
        |_| String::new()
    } else {
        text::block
    };
    let state = Arc::new(Mutex::new(watch::State::new(show)));
    let watch = Watch::new(Arc::clone(&state), progress.clone());
    worker.deliver(request(args, destination), Bytes::new(), watch);
    worker.close();
    progress.end();

    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let mut output: Output = std::mem::take(&mut state.output);
    let sum = Sum {
        interrupted: interrupt.is_set(),
        ..Sum::of(&state.seen)
    };
    if args.json {
        output.json(&json::file(name, protocol, &state.seen, sum))?;
    } else {
        output.line(sum.words());
    }
    complain_of_address(args, sum);
    output.finish(sum.exit())
}

/// Says so if no server has the address that alone was to be visited.
fn complain_of_address(args: &ProbeArgs, sum: Sum) {
    if let (Some(address), 0, false, false) =
        (args.address, sum.servers, sum.has_failure, sum.interrupted)
    {
        complain(format_args!("no server has the address {address}"));
    }
}

/// The totals of all visits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    /// Visits at servers.
    servers: usize,
    /// Those where mail could go.
    usable: usize,
    /// The destination, or one of several, has no servers.
    has_failure: bool,
    /// Something may be better later.
    temporary: bool,
    /// Not everything was looked at.
    interrupted: bool,
}

impl Sum {
    fn of(seen: &[Seen]) -> Self {
        let mut sum = Self::default();
        for seen in seen {
            let failing = match &seen.finding {
                Finding::Destination(found) => {
                    sum.has_failure |= found.failure.is_some();
                    found.failure.as_ref()
                }
                Finding::Host(found) => {
                    sum.servers += 1;
                    sum.usable += usize::from(found.result.is_ok());
                    found.result.as_ref().err()
                }
                _ => None,
            };
            sum.temporary |= failing.is_some_and(|failing| failing.fate == Status::Deferred);
        }
        sum
    }

    fn words(self) -> String {
        let Self {
            servers, usable, ..
        } = self;
        match (servers, usable) {
            (0, _) if self.interrupted => "No server was visited.".into(),
            (0, _) => "No server to deliver to.".into(),
            (1, 1) => "The server can be used.".into(),
            (1, 0) => "The server cannot be used.".into(),
            (_, 0) => format!("None of {servers} servers can be used."),
            _ if servers == usable => format!("All {servers} servers can be used."),
            _ => format!("{usable} of {servers} servers can be used."),
        }
    }

    /// The word for programs.
    const fn word(self) -> &'static str {
        match self.exit() {
            Exit::Ok => "usable",
            Exit::Bounced => "unusable",
            _ if self.usable > 0 => "partly usable",
            _ => "unusable for now",
        }
    }

    const fn exit(self) -> Exit {
        if self.interrupted {
            Exit::Deferred
        } else if self.usable == self.servers && self.servers > 0 && !self.has_failure {
            Exit::Ok
        } else if self.usable > 0 || self.temporary {
            Exit::Deferred
        } else {
            Exit::Bounced
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_follows_from_the_servers() {
        let sum = |servers, usable, has_failure, temporary| Sum {
            servers,
            usable,
            has_failure,
            temporary,
            interrupted: false,
        };
        let interrupted = |sum| Sum {
            interrupted: true,
            ..sum
        };
        let table = [
            (sum(2, 2, false, false), 0, "usable"),
            (sum(2, 1, false, false), 75, "partly usable"),
            (sum(2, 2, true, true), 75, "partly usable"),
            (sum(2, 0, false, true), 75, "unusable for now"),
            (sum(2, 0, false, false), 69, "unusable"),
            (sum(0, 0, true, true), 75, "unusable for now"),
            (sum(0, 0, true, false), 69, "unusable"),
            (sum(0, 0, false, false), 69, "unusable"),
            (interrupted(sum(0, 0, false, false)), 75, "unusable for now"),
            (interrupted(sum(1, 1, false, false)), 75, "partly usable"),
        ];
        for (sum, status, word) in table {
            assert_eq!((sum.exit().status(), sum.word()), (status, word), "{sum:?}");
        }
    }
}
