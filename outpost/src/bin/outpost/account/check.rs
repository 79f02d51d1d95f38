//! `outpost account check`: what the accounts file would do, and whether servers go along.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use outpost::{Address, Event, Note, Observer, Outcome, Recipient, ReversePath, Status, address};
use smtp_policy::{
    Protocol,
    request::{Nexthop, Request},
};

use super::{Account, Accounts, Place, Server, Tls, Trust, Way, locate};
use crate::{
    cli::{AccountArgs, AccountCommand, CheckArgs},
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    output::{Output, complain},
    user, watch,
};

/// Does what the command line asks for.
pub(crate) fn run(args: &AccountArgs) -> Result<Exit, Failure> {
    match &args.command {
        AccountCommand::Check(args) => check(args),
    }
}

fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let accounts = Accounts::read(&locate(args.file.as_deref())?)?;
    let wanted: Vec<&Account> = match &args.name {
        Some(name) => vec![accounts.named(name)?],
        None => accounts.accounts.values().collect(),
    };
    let mut output = Output::default();
    output.line(format_args!(
        "{}: {} account(s)",
        accounts.file,
        accounts.accounts.len()
    ));
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    let mut worst = Exit::Ok;
    for account in wanted {
        let is_default = accounts.default.as_ref() == Some(&account.name);
        output.line(format_args!(
            "{}{}",
            account.name,
            if is_default { " (default)" } else { "" }
        ));
        for (what, value) in rows(account) {
            output.line(format_args!("  {what:<10} {value}"));
        }
        // What is in files is looked at even if nobody is to log in.
        let exit = match (args.login, account.readiness()) {
            (_, Err(failure)) => told(&mut output, "problem", &failure),
            (false, Ok(())) => Exit::Ok,
            (true, Ok(())) => match login(account, &interrupt) {
                Ok(found) => found.tell(&mut output),
                Err(failure) => told(&mut output, "problem", &failure),
            },
        };
        worst = worse(worst, exit);
    }
    if accounts.accounts.is_empty() {
        complain(format_args!("{}: there is no account in it", accounts.file));
        worst = Exit::Config;
    }
    output.finish(worst)
}

fn told(output: &mut Output, what: &str, failure: &Failure) -> Exit {
    output.line(format_args!("  {what:<10} {failure}"));
    failure.exit
}

/// The status that counts of two: a mistake in the file, then a refusal, then what is not known.
fn worse(one: Exit, other: Exit) -> Exit {
    const ORDER: [Exit; 3] = [Exit::Config, Exit::Bounced, Exit::Deferred];
    let rank = |exit| {
        ORDER
            .iter()
            .position(|known| *known == exit)
            .unwrap_or(ORDER.len())
    };
    match (one, other) {
        (Exit::Ok, other) => other,
        (one, Exit::Ok) => one,
        (one, other) if rank(other) < rank(one) => other,
        (one, _) => one,
    }
}

/// Returns the settings of an account, as names and values.
fn rows(account: &Account) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    match &account.place {
        Place::Direct { dns } => {
            rows.push((
                "server",
                "the mail exchangers of each recipient's domain".to_owned(),
            ));
            if !dns.is_empty() {
                let dns: Vec<String> = dns.iter().map(ToString::to_string).collect();
                rows.push(("dns", dns.join(", ")));
            }
        }
        Place::Server(server) => rows.extend(server_rows(server)),
        Place::Queue(queue) => {
            let which = match &queue.store {
                Some(_) => "the queue that the accounts file names",
                None => "the queue of this user",
            };
            rows.push(("server", format!("{which}, through outpost-queue")));
        }
    }
    if let Some(from) = &account.from {
        rows.push(("sender", from.to_string()));
    }
    rows
}

fn server_rows(server: &Server) -> Vec<(&'static str, String)> {
    let verified = |how: &str, trust: &Trust| {
        let authorities = match &trust.ca_file {
            Some(file) => format!("the authorities in {}", file.display()),
            None => "the authorities of the system".to_owned(),
        };
        format!(
            "{how}, with a certificate for {} by {authorities}",
            server.host
        )
    };
    let tls = match &server.tls {
        Tls::Plaintext => "none: anybody on the way can read mail and password".to_owned(),
        Tls::Starttls(trust) => verified("STARTTLS", trust),
        Tls::Implicit(trust) => verified("from the first byte", trust),
    };
    let login = match &server.login {
        Some(login) => format!(
            "{}, with the password {}",
            login.user,
            login.password.words()
        ),
        None => "none".to_owned(),
    };
    vec![
        ("server", format!("{}, port {}", server.host, server.port)),
        ("TLS", tls),
        ("login", login),
    ]
}

/// The result of a visit.
struct Found {
    /// The encryption, in the words of the log.
    encryption: Option<String>,
    logged_in: bool,
    /// A login was to be made.
    wants_login: bool,
    /// The address that was sender and recipient, and what the server says of it.
    asked: Recipient,
    outcome: Outcome,
}

impl Found {
    fn tell(&self, output: &mut Output) -> Exit {
        if let Some(encryption) = &self.encryption {
            output.line(format_args!("  {:<10} {encryption}", "encryption"));
        }
        let verdict = match self.outcome.status {
            Status::Sent => format!("mail from and to <{}> is taken", self.asked.address),
            _ => format!("{} ({})", self.outcome.text, self.outcome.code),
        };
        let login = match (self.wants_login, self.logged_in) {
            (false, _) => "none was wanted",
            (true, true) => "the server takes user and password",
            (true, false) => "FAILED",
        };
        output.line(format_args!("  {:<10} {login}", "logged in"));
        output.line(format_args!("  {:<10} {verdict}", "result"));
        match self.outcome.status {
            Status::Sent => Exit::Ok,
            Status::Deferred if self.refused_login() => Exit::Bounced,
            Status::Deferred => Exit::Deferred,
            Status::Bounced => Exit::Bounced,
        }
    }

    /// A refused login defers mail, since somebody may correct the password. Here it is the answer.
    fn refused_login(&self) -> bool {
        let reply = self.outcome.reply.as_ref();
        self.wants_login && !self.logged_in && reply.is_some_and(|reply| reply.code() >= 500)
    }
}

/// Visits the server: logs in, and says MAIL and RCPT, but not DATA.
fn login(account: &Account, interrupt: &Interrupt) -> Result<Found, Failure> {
    let (Place::Server(server), Way::Mailer(mailer)) = (&account.place, account.way()?) else {
        let what =
            "there is no server to log in at: 'outpost probe DOMAIN' looks at mail exchangers";
        return Err(Failure::new(Exit::Usage, what));
    };
    let nexthop = Nexthop::parse(format!("[{}]:{}", server.host, server.port));
    let nexthop = nexthop.or_exit(Exit::Config)?;
    let address = address_of(account, server)?;
    let asked = Recipient::new(address.clone());
    let sender = ReversePath::Mailbox(address);
    let mut request = Request::new(Protocol::Smtp, nexthop, sender, vec![asked]);
    request.probe = true;
    let canceller = mailer.clone();
    interrupt.on_first(Box::new(move || canceller.cancel()));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let client = mailer.client();
    let mut report = client.deliver(request, Bytes::new(), Watch(Arc::clone(&seen)));
    mailer.close();
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let last = report.recipients.pop();
    let (asked, outcome) = last.ok_or_else(|| Failure::new(Exit::Software, "no verdict"))?;
    Ok(Found {
        encryption: seen.encryption,
        logged_in: seen.logged_in,
        wants_login: server.login.is_some(),
        asked,
        outcome,
    })
}

/// The address to ask about: the sender of mail without one, or the user if that is an address.
fn address_of(account: &Account, server: &Server) -> Result<Address, Failure> {
    let user = server.login.as_ref().map(|login| login.user.as_str());
    let user = user.and_then(|user| address::parse(user).ok());
    match user.filter(|user| account.from.is_none() && user.domain().is_some()) {
        Some(address) => Ok(address),
        None => match account.default_sender(&user::login_name())? {
            ReversePath::Mailbox(address) => Ok(address),
            ReversePath::Null => Err(Failure::new(Exit::Config, "the account has no sender")),
        },
    }
}

/// The observations during a visit.
#[derive(Debug, Default)]
struct Seen {
    encryption: Option<String>,
    logged_in: bool,
}

struct Watch(Arc<Mutex<Seen>>);

impl Observer for Watch {
    fn note(&mut self, note: &Note) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &note.event {
            Event::TlsEstablished { tls, .. } => seen.encryption = Some(tls.to_string()),
            Event::LoggedIn { .. } => seen.logged_in = true,
            _ => {}
        }
        drop(seen);
        watch::tell("", note);
    }
}
