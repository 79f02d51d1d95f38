//! From an account to a mailer.

use std::fs;

use anyhow::{Context, anyhow};
use outpost::{Observer, blocking::Mailer};
use smtp_policy::{
    dns::ResolverConfig,
    event::Note,
    settings::SecurityOptions,
    tls::{TlsLevel, TrustAnchors},
};
use smtp_proto::command::HelloName;

use super::{Account, Login, MinTls, PasswordSource, Place, Server, Tls, Trust};
use crate::{
    exit::{Exit, Failure, OrExit},
    queue::QueuePlace,
    settings::{host_name, resolver},
    trace, watch,
};

type Builder = outpost::Builder<Mailer>;

/// The way of messages out of the program.
#[derive(Clone)]
pub(crate) enum Way {
    /// It delivers itself.
    Mailer(Mailer),
    /// The queue gets them.
    Queue(QueuePlace),
}

impl Way {
    /// Closes the connections that were kept.
    pub(crate) fn close(&self) {
        match self {
            Self::Mailer(mailer) => mailer.close(),
            Self::Queue(_) => {}
        }
    }
}

impl Account {
    /// The name of this machine, for EHLO and Message-ID.
    pub(crate) fn host_name(&self) -> HelloName {
        let system = || HelloName::parse(&host_name()).unwrap_or_else(|_| HelloName::localhost());
        self.local_hostname.clone().unwrap_or_else(system)
    }

    /// Makes the way out. For a mailer the password is got; nothing is connected to.
    ///
    /// # Errors
    /// There is no password; certificates cannot be read; the settings contradict each other.
    pub(crate) fn way(&self) -> Result<Way, Failure> {
        let host_name = self.host_name();
        let mut builder = match &self.place {
            Place::Queue(queue) => return Ok(Way::Queue(queue.clone())),
            Place::Direct { dns } => {
                let config: ResolverConfig = resolver(dns);
                Mailer::direct(host_name.as_str()).resolver(config)
            }
            Place::Server(server) => submission(server)?.hostname(host_name.as_str()),
        };
        if trace::shows_dialogue() {
            builder = builder.dialogue();
        }
        let mailer = builder
            .build()
            .with_context(|| format!("account '{}'", self.name));
        mailer.or_exit(Exit::Config).map(Way::Mailer)
    }

    /// Looks at the files that a mailer needs. No command is run, and no keyring asked.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(super) fn readiness(&self) -> Result<(), Failure> {
        let Place::Server(server) = &self.place else {
            return Ok(());
        };
        if let Tls::Starttls(trust) | Tls::Implicit(trust) = &server.tls {
            trust.authorities()?;
        }
        match &server.login {
            Some(Login { user, password }) if matches!(password, PasswordSource::File(_)) => {
                password.get(&server.host, user).map(drop)
            }
            _ => Ok(()),
        }
    }
}

fn submission(server: &Server) -> Result<Builder, Failure> {
    let mut builder = Mailer::submission(format!("[{}]:{}", server.host, server.port));
    let is_implicit = matches!(server.tls, Tls::Implicit(_));
    // The file decides, and not the port.
    builder = builder.configure(|settings| settings.tls.wrapper = is_implicit);
    builder = match &server.tls {
        Tls::Plaintext => builder.tls(TlsLevel::None),
        Tls::Starttls(trust) | Tls::Implicit(trust) => trust.apply(builder)?,
    };
    let Some(Login { user, password }) = &server.login else {
        return Ok(builder);
    };
    let password = password.get(&server.host, user)?;
    builder = builder.credentials(user, password.expose());
    if server.tls == Tls::Plaintext {
        // `insecure = true` says so.
        builder = builder.configure(|settings| {
            if let Some(login) = &mut settings.login {
                login.plaintext = SecurityOptions::NOANONYMOUS;
            }
        });
    }
    Ok(builder)
}

impl Trust {
    fn apply(&self, mut builder: Builder) -> Result<Builder, Failure> {
        if self.min == MinTls::V1_3 {
            let protocols = ">=TLSv1.3".parse().map_err(|why| anyhow!("min_tls: {why}"));
            let protocols = protocols.or_exit(Exit::Software)?;
            builder = builder.configure(|settings| settings.tls.mandatory.protocols = protocols);
        }
        Ok(match self.authorities()? {
            Some(pem) => builder.authorities(pem),
            None => builder,
        })
    }

    /// The authorities in PEM; none: those of the system.
    fn authorities(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(file) = &self.ca_file else {
            return Ok(None);
        };
        let name = file.display();
        let pem = fs::read(file)
            .with_context(|| format!("ca_file: cannot read {name}"))
            .or_exit(Exit::Config)?;
        match TrustAnchors::from_pem(&pem) {
            Ok(anchors) if !anchors.certificates.is_empty() => Ok(Some(pem)),
            Ok(_) => Err(format!("ca_file: {name}: there is no certificate")),
            Err(why) => Err(format!("ca_file: {name}: {why}")),
        }
        .map_err(|why| Failure::new(Exit::Config, why))
    }
}

/// Tells what happens on the way: warnings, and the dialogue where it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Teller;

impl Observer for Teller {
    fn note(&mut self, note: &Note) {
        watch::tell("", note);
    }
}
