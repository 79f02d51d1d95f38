//! From the accounts file to accounts: the rules about what may stand beside what.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::Context;
use outpost::{SizeLimit, address};
use smtp_proto::command::HelloName;
use toml::Spanned;

use super::{
    Account, Accounts, Login, PasswordSource, Pattern, Place, Server, Tls, Trust,
    file::{At, Entry, Fault, Hidden, Source, TlsMode},
    password::{Exposure, exposure},
};
use crate::{
    exit::{Exit, Failure, OrExit},
    queue::QueuePlace,
    user,
};

/// The most that an accounts file may have.
const LIMIT: SizeLimit = SizeLimit::mebibytes(1);
const DNS_PORT: u16 = 53;

impl Accounts {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read; it cannot be understood; it has a password in it, and others may read
    /// or change it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let mut file = fs::File::open(path)
            .with_context(|| format!("cannot read the accounts file {name}"))
            .or_exit(Exit::Config)?;
        let exposure = exposure(&file)
            .with_context(|| format!("cannot read the accounts file {name}"))
            .or_exit(Exit::Config)?;
        let bytes = LIMIT
            .read(&mut file)
            .with_context(|| format!("cannot read the accounts file {name}"))
            .or_exit(Exit::Config)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::new(Exit::Config, format!("{name}: it is not UTF-8")))?;
        Self::parse(&text, path, exposure).or_exit(Exit::Config)
    }

    /// Understands the text of a file that may be open to others.
    pub(super) fn parse(text: &str, path: &Path, exposure: Exposure) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let source = Source { name: &name, text };
        let file = source.parse()?;
        let reader = Reader {
            source,
            folder: path.parent().unwrap_or(Path::new("")),
            exposure,
        };
        let mut accounts = BTreeMap::new();
        for (name, entry) in file.accounts {
            let (span, name) = (name.span(), name.into_inner());
            let account = reader.account(name.clone(), span, entry)?;
            accounts.insert(name, account);
        }
        let default = match file.default {
            Some(default) if !accounts.contains_key(default.as_ref()) => {
                let what = format!("default: there is no account '{}'", default.as_ref());
                return Err(source.fault(default.span(), what));
            }
            other => other.map(Spanned::into_inner),
        };
        let mut aliases = BTreeMap::new();
        for (name, targets) in file.aliases {
            let (span, name) = (name.span(), name.into_inner());
            let wrong = |why: &str| source.fault(span.clone(), format!("alias '{name}': {why}"));
            if name.contains('@') {
                return Err(wrong("an alias is for a name without a domain"));
            }
            if targets.as_slice().is_empty() {
                return Err(wrong("there is no address"));
            }
            for target in targets.as_slice() {
                address::parse(target).map_err(|why| wrong(&format!("'{target}': {why}")))?;
            }
            if aliases
                .insert(name.to_lowercase(), targets.as_slice().to_vec())
                .is_some()
            {
                return Err(wrong("it is there twice, but for the case"));
            }
        }
        Ok(Self {
            file: name.clone(),
            accounts,
            default,
            aliases,
        })
    }
}

/// State for the reading of all accounts of a file.
struct Reader<'a> {
    source: Source<'a>,
    /// The start of relative paths.
    folder: &'a Path,
    exposure: Exposure,
}

impl Reader<'_> {
    fn account(&self, name: String, span: Range<usize>, entry: Entry) -> Result<Account, Fault> {
        let from = self.parsed(&entry.from, "from", |text| match address::parse(text) {
            Ok(address) if address.domain().is_none() => Err("it has no domain".to_owned()),
            other => other.map_err(|why| why.to_string()),
        })?;
        let local_hostname = self.parsed(&entry.local_hostname, "local_hostname", |text| {
            HelloName::parse(text).map_err(|why| why.to_string())
        })?;
        let domain = self.parsed(&entry.domain, "domain", |text| {
            let parsed = address::parse(&format!("x@{text}"));
            parsed
                .map(|_| text.to_owned())
                .map_err(|why| why.to_string())
        })?;
        let full_name = self.parsed(&entry.full_name, "full_name", |text| {
            match text.contains(char::is_control) {
                true => Err("it has control characters in it".to_owned()),
                false => Ok(text.to_owned()),
            }
        })?;
        let mut patterns = Vec::new();
        for pattern in &entry.from_patterns {
            if pattern.as_ref().trim().is_empty() {
                return Err(self.source.fault(pattern.span(), "a pattern is empty"));
            }
            patterns.push(Pattern::new(pattern.as_ref()));
        }
        let is_direct = entry.direct.as_ref().is_some_and(|direct| *direct.as_ref());
        let place = match (&entry.queue, is_direct) {
            (Some(queue), _) => self.queue(queue, &entry)?,
            (None, true) => self.direct(&entry)?,
            (None, false) => self.server(&name, span, entry)?,
        };
        Ok(Account {
            name,
            place,
            from,
            patterns,
            full_name,
            domain,
            local_hostname,
        })
    }

    /// An account that delivers to mail exchangers: nothing about a server may stand in it.
    fn direct(&self, entry: &Entry) -> Result<Place, Fault> {
        self.none_of(
            about_a_server(entry),
            "is for a server, and with direct = true there is none",
        )?;
        let servers = self.parsed(&entry.dns, "dns", |servers| {
            servers.iter().map(|text| name_server(text)).collect()
        })?;
        Ok(Place::Direct {
            dns: servers.unwrap_or_default(),
        })
    }

    /// An account that hands mail to the queue, which knows where it goes.
    fn queue(&self, address: &Spanned<Hidden>, entry: &Entry) -> Result<Place, Fault> {
        self.none_of(
            about_a_server(entry),
            "is for a server, and the queue has its own way",
        )?;
        let others = [place(&entry.direct, "direct"), place(&entry.dns, "dns")];
        self.none_of(others, "is not for a queue, which has its own way")?;
        let store = &address.as_ref().0;
        let wrong = |what: String| Err(self.source.fault(address.span(), what));
        let text = String::from_utf8_lossy(store.expose());
        if text.is_empty() || text.contains(char::is_control) {
            let what = "queue: it is empty, or has control characters in it";
            return wrong(format!("{what}: \"default\" is the queue of this user"));
        }
        // As in scheme://user:password@host, or among the parameters.
        let login = text.split_once("://").map_or("", |(_, rest)| rest);
        let has_password = login
            .rsplit_once('@')
            .is_some_and(|(login, _)| login.contains(':'))
            || text.contains("password");
        match &self.exposure {
            Exposure::Open(why) if has_password => wrong(format!(
                "queue: there is a password in it, and {why}: use chmod 600, or PGPASSFILE"
            )),
            _ => Ok(Place::Queue(QueuePlace {
                store: (text != "default").then(|| store.clone()),
            })),
        }
    }

    fn server(&self, name: &str, span: Range<usize>, entry: Entry) -> Result<Place, Fault> {
        self.none_of([place(&entry.dns, "dns")], "is for direct = true only")?;
        let Some(host) = self.parsed(&entry.host, "host", |text| host(text))? else {
            let what = format!("account '{name}' has neither host nor direct = true nor queue");
            return Err(self.source.fault(span, what));
        };
        let tls = self.tls(&entry)?;
        let port = self.parsed(&entry.port, "port", |port| match port {
            0 => Err("there is no port 0".to_owned()),
            port => Ok(*port),
        })?;
        let usual = match tls {
            Tls::Plaintext => 25,
            Tls::Starttls(_) => 587,
            Tls::Implicit(_) => 465,
        };
        Ok(Place::Server(Server {
            host,
            port: port.unwrap_or(usual),
            tls,
            login: self.login(entry)?,
        }))
    }

    fn tls(&self, entry: &Entry) -> Result<Tls, Fault> {
        let mode = entry.tls.as_ref().map(|mode| *mode.as_ref());
        let insecure = entry.insecure.as_ref().is_some_and(|yes| *yes.as_ref());
        if mode == Some(TlsMode::None) {
            if !insecure {
                let what = "tls = \"none\" sends mail and password in the clear: it needs \
                            insecure = true beside it";
                return Err(self.at(&entry.tls, what));
            }
            let about_tls = [
                place(&entry.ca_file, "ca_file"),
                place(&entry.min_tls, "min_tls"),
            ];
            self.none_of(about_tls, "has no meaning with tls = \"none\"")?;
            return Ok(Tls::Plaintext);
        }
        if insecure {
            let what = "insecure = true has no meaning without tls = \"none\"";
            return Err(self.at(&entry.insecure, what));
        }
        let trust = Trust {
            ca_file: entry.ca_file.as_ref().map(|file| self.path(file.as_ref())),
            min: entry
                .min_tls
                .as_ref()
                .map(|min| *min.as_ref())
                .unwrap_or_default(),
        };
        Ok(match mode {
            Some(TlsMode::Implicit) => Tls::Implicit(trust),
            _ => Tls::Starttls(trust),
        })
    }

    fn login(&self, entry: Entry) -> Result<Option<Login>, Fault> {
        let keyring = entry.keyring.filter(|wanted| *wanted.as_ref());
        let sources = [
            place(&entry.password, "password"),
            place(&entry.password_command, "password_command"),
            place(&entry.password_file, "password_file"),
            place(&keyring, "keyring"),
        ];
        let mut given = sources.into_iter().flatten();
        let (first, second) = (given.next(), given.next());
        if let Some((name, span)) = second {
            let what = format!("{name}: the account has another source of the password");
            return Err(self.source.fault(span, what));
        }
        let Some(user) = &entry.user else {
            return match first {
                None => Ok(None),
                Some((name, span)) => {
                    let what = format!("{name}: the account has no user");
                    Err(self.source.fault(span, what))
                }
            };
        };
        let name: &str = user.as_ref();
        if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) {
            let what = "user: it is empty, or has a colon or control characters in it";
            return Err(self.source.fault(user.span(), what));
        }
        let password = if let Some(password) = entry.password {
            if let Exposure::Open(why) = &self.exposure {
                let what = format!("password: {why}: use chmod 600, or password_command");
                return Err(self.source.fault(password.span(), what));
            }
            PasswordSource::Here(password.into_inner().0)
        } else if let Some(command) = entry.password_command {
            match command.as_ref().split_first() {
                Some((program, _)) if !program.is_empty() => {}
                _ => {
                    return Err(self
                        .source
                        .fault(command.span(), "password_command: it is empty"));
                }
            }
            PasswordSource::Command(command.into_inner())
        } else if let Some(file) = entry.password_file {
            PasswordSource::File(self.path(file.as_ref()))
        } else if keyring.is_some() {
            PasswordSource::Keyring
        } else {
            let what = "user: there is no password, password_command, password_file or keyring";
            return Err(self.source.fault(user.span(), what));
        };
        Ok(Some(Login {
            user: name.to_owned(),
            password,
        }))
    }

    /// A value that has a meaning of its own.
    fn parsed<T, U>(
        &self,
        value: &At<T>,
        key: &str,
        parse: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<Option<U>, Fault> {
        let Some(value) = value else { return Ok(None) };
        let wrong = |why| self.source.fault(value.span(), format!("{key}: {why}"));
        parse(value.as_ref()).map(Some).map_err(wrong)
    }

    fn none_of<const N: usize>(&self, keys: [Key; N], why: &str) -> Result<(), Fault> {
        match keys.into_iter().flatten().next() {
            Some((name, span)) => Err(self.source.fault(span, format!("{name} {why}"))),
            None => Ok(()),
        }
    }

    fn at<T>(&self, value: &At<T>, what: &str) -> Fault {
        let span = value.as_ref().map(Spanned::span);
        self.source.fault(span.unwrap_or_default(), what)
    }

    /// A path as it is meant: `~/` is the home folder, others start at the folder of the file.
    fn path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => user::home().unwrap_or_default().join(rest),
            Err(_) => self.folder.join(path),
        }
    }
}

/// The keys of an account that are about a server.
fn about_a_server(entry: &Entry) -> [Key; 11] {
    [
        place(&entry.host, "host"),
        place(&entry.port, "port"),
        place(&entry.tls, "tls"),
        place(&entry.insecure, "insecure"),
        place(&entry.ca_file, "ca_file"),
        place(&entry.min_tls, "min_tls"),
        place(&entry.user, "user"),
        place(&entry.password, "password"),
        place(&entry.password_command, "password_command"),
        place(&entry.password_file, "password_file"),
        place(&entry.keyring, "keyring"),
    ]
}

/// A key that stands in the file, with its place.
type Key = Option<(&'static str, Range<usize>)>;

fn place<T>(value: &At<T>, name: &'static str) -> Key {
    value.as_ref().map(|value| (name, value.span()))
}

fn host(text: &str) -> Result<String, String> {
    let is_address = text.parse::<IpAddr>().is_ok();
    let odd = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match text.is_empty() || (!is_address && text.contains(odd)) {
        true => Err("expected a name or an address, such as smtp.example.com".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DNS_PORT));
    }
    text.parse()
        .map_err(|_| format!("'{text}' is no IP address, with or without a port"))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
