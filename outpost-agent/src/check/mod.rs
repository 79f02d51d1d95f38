//! A look at main.cf and master.cf, before any mail is at stake: what each service would do, and what is refused.
//!
//! Everything is read as the agent reads it, by the same code. Nothing is written, and no socket is opened.

mod proxied;
mod report;
mod service;
mod surroundings;

use std::path::Path;

use postfix_config::{Config, MainCf};
use smtp_policy::Protocol;

use crate::{
    master_cf::{BadLine, Service},
    site::{self, Mistakes},
};
pub(crate) use report::Report;
use report::Section;
use surroundings::Installed;

/// The command of a service that this program runs.
const PROGRAM: &str = "outpost-agent";
/// Commands by which Postfix starts a client.
const CLIENTS: [&str; 3] = ["smtp", "lmtp", PROGRAM];
/// The line by which an operator tries the program.
const TRIAL: &str = "outpost  unix  -  -  y  -  -  outpost-agent";

/// Checks the configuration in a folder.
pub(crate) fn run(folder: &Path) -> Report {
    let mut report = Report::default();
    let mut common = Section::new(folder.join("main.cf").display());
    let main_cf = site::main_cf(folder);
    let read = main_cf.and_then(|main_cf| Ok((main_cf.checked(Protocol::Smtp)?, main_cf)));
    let (config, main_cf) = match read {
        Ok(read) => read,
        Err(Mistakes(mistakes)) => {
            mistakes.iter().for_each(|mistake| common.refusal(mistake));
            report.add(common);
            return report;
        }
    };
    common.fact("compatibility_level", &config.general.compatibility_level);
    for warning in main_cf.warnings() {
        common.warning(warning);
    }
    report.add(common);
    let (surroundings, installed) = surroundings::look(&config);
    report.add(surroundings);
    services(folder, &main_cf, &config, &installed, &mut report);
    report
}

/// Adds the services of master.cf.
fn services(
    folder: &Path,
    main_cf: &MainCf,
    config: &Config,
    installed: &Installed,
    report: &mut Report,
) {
    let path = folder.join("master.cf");
    let mut common = Section::new(path.display());
    let found = match site::services(folder) {
        Ok(found) => found,
        Err(Mistakes(mistakes)) => {
            mistakes.iter().for_each(|mistake| common.refusal(mistake));
            report.add(common);
            return;
        }
    };
    let (mut ours, mut others): (Vec<Service>, Vec<Service>) = (Vec::new(), Vec::new());
    for service in found {
        match service {
            Ok(service) if !CLIENTS.contains(&service.program()) => {}
            Ok(service) if installed.runs(&service) => ours.push(service),
            Ok(service) => others.push(service),
            Err(bad) => common.refusal(shown(&path, &bad)),
        }
    }
    common.fact("services that run this program", names(&ours));
    common.fact("services that run Postfix's own", names(&others));
    if ours.is_empty() {
        common.fact("to try this program, add", TRIAL);
    }
    report.add(common);
    for service in ours.iter().chain(&others) {
        report.add(service::check(main_cf, config, installed, service));
    }
}

fn shown(path: &Path, bad: &BadLine) -> String {
    format!("{}: {bad}", path.display())
}

fn names(services: &[Service]) -> String {
    let names: Vec<&str> = services.iter().map(|service| &*service.name).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
