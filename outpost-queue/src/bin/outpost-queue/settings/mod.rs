//! main.cf and `-o`: what the delivery client does, as in `outpost deliver`, and what the queue decides by. What cannot be
//! understood is an error that says where it stands.

mod dkim;
mod grammar;
mod table;

use std::sync::Arc;

use outpost::{
    machine,
    postfix_config::{ConfigError, Machine, MainCf, Problem, Protocol, compile},
    smtp_policy::{policy::Policy, request::Nexthop, sts::MtaSts},
};
use outpost_queue::tlsrpt::DkimSigner;

pub(crate) use grammar::time;
pub(crate) use table::{Queueing, ROWS, Row};

use crate::{
    cli::{RunArgs, SettingsArgs},
    exit::{Exit, Failure, OrExit},
    output::complain,
};

const SERVICES: &str = "/etc/services";
/// The limits that the client does not need.
const UNLIMITED: [&str; 2] = [
    "smtp_destination_concurrency_limit",
    "lmtp_destination_concurrency_limit",
];

/// All settings of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The settings by which the queue decides.
    pub(crate) queueing: Queueing,
    /// The policy that the delivery client follows.
    pub(crate) policy: Arc<Policy>,
    /// Domains get reports about TLS.
    pub(crate) tls_reports: bool,
    /// The key that signs them, if there is one; not read unless it is wanted.
    pub(crate) signer: Option<Arc<DkimSigner>>,
    /// The name of this machine.
    pub(crate) myhostname: String,
    /// The next hop of all mail; none: the domain of each recipient.
    pub(crate) relayhost: Option<Nexthop>,
    /// The most recipients of a delivery; zero is no limit.
    pub(crate) recipient_limit: u32,
    /// Addresses and headers beyond ASCII may go out.
    pub(crate) smtputf8: bool,
}

/// The settings that only some commands want.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    /// MTA-STS policies of domains are applied.
    sts: bool,
    /// Domains get reports about TLS.
    tls_reports: bool,
    /// The key that signs those is read.
    signer: bool,
}

/// Reads the settings. What is odd about them goes to standard error.
///
/// # Errors
/// A file that cannot be read, a value that cannot be understood.
pub(crate) fn read(args: &SettingsArgs) -> Result<Settings, Failure> {
    with(args, Wanted::default())
}

/// The same, with the key that signs reports.
///
/// # Errors
/// As for [`read`].
pub(crate) fn read_with_key(args: &SettingsArgs) -> Result<Settings, Failure> {
    let signer = true;
    with(
        args,
        Wanted {
            signer,
            ..Wanted::default()
        },
    )
}

/// The same, with what a worker does only if it is wanted.
///
/// # Errors
/// As for [`read`].
pub(crate) fn of_run(args: &RunArgs) -> Result<Settings, Failure> {
    let wanted = Wanted {
        sts: args.mta_sts,
        tls_reports: args.tls_reports,
        signer: args.tls_reports,
    };
    let settings = with(&args.place.settings, wanted)?;
    // A relay may sign them.
    if wanted.tls_reports && settings.signer.is_none() && settings.relayhost.is_none() {
        complain(format_args!(
            "warning: reports about TLS that go out as mail have no DKIM signature, and receivers will ignore them: {} is empty",
            dkim::KEY_FILE
        ));
    }
    Ok(settings)
}

fn with(args: &SettingsArgs, wanted: Wanted) -> Result<Settings, Failure> {
    let main_cf = main_cf(args)?;
    let mut queueing = queueing(&main_cf)?;
    let config = main_cf.config(Protocol::Smtp).or_exit(Exit::Config)?;
    // That of the transport, whose default is that of all.
    queueing.rules.concurrency.limit = *config.cache.destination_concurrency_limit;
    let mut policy = policy(&main_cf)?;
    if wanted.sts {
        policy = policy.with_mta_sts(MtaSts::default());
    }
    if wanted.tls_reports {
        policy = policy.with_tls_results();
    }
    let settings = policy.settings(Protocol::Smtp);
    let relayhost = settings.connect.relayhost.clone();
    let myhostname = config.general.myhostname.to_string();
    Ok(Settings {
        signer: signer(&main_cf, &queueing, &myhostname, wanted)?.map(Arc::new),
        queueing,
        tls_reports: wanted.tls_reports,
        myhostname,
        recipient_limit: *config.cache.destination_recipient_limit,
        relayhost,
        smtputf8: settings.content.smtputf8,
        policy: Arc::new(policy),
    })
}

/// The key that signs reports, if it is wanted and there is one.
fn signer(
    main_cf: &MainCf,
    queueing: &Queueing,
    myhostname: &str,
    wanted: Wanted,
) -> Result<Option<DkimSigner>, Failure> {
    let is_wanted = queueing.dkim.is_wanted();
    let signer = is_wanted.and_then(|is_wanted| {
        let signer = (is_wanted && wanted.signer).then(|| queueing.dkim.signer(myhostname));
        signer.transpose()
    });
    let signer = signer.map_err(|(name, why)| ConfigError {
        origin: main_cf.origin(name),
        parameter: Some(name.to_owned()),
        problem: Problem::Value(why),
    });
    signer.or_exit(Exit::Config)
}

/// The name of the store in main.cf or `-o`; empty where there is none.
pub(crate) fn store(args: &SettingsArgs) -> Result<String, Failure> {
    Ok(queueing(&main_cf(args)?)?.store)
}

fn main_cf(args: &SettingsArgs) -> Result<MainCf, Failure> {
    let mut main_cf = match &args.main_cf {
        Some(path) if path.is_dir() => MainCf::read(path.join("main.cf")),
        Some(path) => MainCf::read(path),
        None => Ok(MainCf::default()),
    }
    .or_exit(Exit::Config)?;
    main_cf.set_host_name(&gethostname::gethostname().to_string_lossy());
    for setting in &args.set {
        main_cf.set(setting).or_exit(Exit::Config)?;
    }
    Ok(main_cf)
}

/// Reads the rows of the table. The last of several errors is returned, the others go to standard error.
fn queueing(main_cf: &MainCf) -> Result<Queueing, Failure> {
    let mut queueing = Queueing::default();
    let mut errors: Vec<ConfigError> = Vec::new();
    for row in ROWS
        .iter()
        .filter(|row| main_cf.written(row.name).is_some())
    {
        let text = match main_cf.expanded(row.name, Protocol::Smtp) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        if let Err(why) = (row.read)(&mut queueing, &text) {
            errors.push(ConfigError {
                origin: main_cf.origin(row.name),
                parameter: Some(row.name.to_owned()),
                problem: Problem::Value(why),
            });
        }
    }
    last(errors)?;
    queueing.rules = queueing.rules.checked().or_exit(Exit::Config)?;
    Ok(queueing)
}

fn policy(main_cf: &MainCf) -> Result<Policy, Failure> {
    // The queue counts deliveries to a destination itself, on all machines together. One that waited for its turn in the
    // client would hold one of the queue's meanwhile.
    let mut main_cf = main_cf.clone();
    for name in UNLIMITED {
        main_cf.set(&format!("{name}=0")).or_exit(Exit::Software)?;
    }
    let services = std::fs::read(SERVICES).unwrap_or_default();
    let machine = Machine {
        addresses: &machine::addresses(),
        services: &String::from_utf8_lossy(&services),
    };
    match compile(&main_cf, machine::resolver(), machine) {
        Ok(policy) => {
            for warning in policy.warnings() {
                let ours = |row: &&Row| warning.contains(&format!("parameter: {}=", row.name));
                if !ROWS.iter().any(|row| ours(&row)) {
                    complain(format_args!("warning: {warning}"));
                }
            }
            Ok(policy)
        }
        Err(wrong) => {
            last(wrong.errors().to_vec())?;
            Err(wrong).or_exit(Exit::Config)
        }
    }
}

fn last(mut errors: Vec<ConfigError>) -> Result<(), Failure> {
    let last = errors.pop();
    errors.iter().for_each(complain);
    match last {
        Some(error) => Err(error).or_exit(Exit::Config),
        None => Ok(()),
    }
}
