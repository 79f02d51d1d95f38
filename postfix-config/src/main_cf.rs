//! main.cf as written: settings by name, their places, and their expansion.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::error::{ConfigError, ConfigWarning, Oddity, Origin, Problem};
use super::expand::expand;
use super::files;
use super::parameter::{Named, Parameter};
use super::source::Source;
use super::syntax;
use super::{CompileError, Config, Protocol, params};

/// What the host name is taken for if the caller does not say.
const NO_HOST_NAME: &str = "localhost";
/// The domain of a machine whose name has no dot, as in Postfix.
const NO_DOMAIN: &str = "localdomain";

/// Parameters that the process has by itself.
const READ_ONLY: &[&str] = &["process_name", "process_id", "service_name"];

/// A main.cf file, or the settings that stand for one.
///
/// It holds settings as written. [`config`](Self::config) makes typed parameters of them,
/// [`warnings`](Self::warnings) says what is odd, [`listing`](Self::listing) is for people.
/// An empty one, all defaults, is `MainCf::default()`.
#[derive(Clone, PartialEq)]
pub struct MainCf {
    /// The name of the file, for messages.
    file: String,
    directory: PathBuf,
    pub(super) host_name: String,
    /// The name of the service in master.cf; none: that of the client.
    service_name: Option<String>,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) remarks: Vec<ConfigWarning>,
}

/// One setting.
#[derive(Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl fmt::Debug for MainCf {
    /// Names without values: any of them can hold a password, since one can refer to another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MainCf")
            .field("file", &self.file)
            .field("names", &self.entries.keys())
            .finish_non_exhaustive()
    }
}

impl Default for MainCf {
    fn default() -> Self {
        Self {
            file: "main.cf".to_owned(),
            directory: PathBuf::from("/etc/postfix"),
            host_name: NO_HOST_NAME.to_owned(),
            service_name: None,
            entries: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }
}

impl MainCf {
    /// Reads a file. `$config_directory` is its folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is no setting. Values are only looked at by
    /// [`config`](Self::config).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = files::read(path, files::MAX_FILE).map_err(|error| ConfigError {
            origin: Origin::Whole { name: name.clone() },
            parameter: None,
            problem: Problem::Unreadable(error.to_string()),
        })?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::parse_bytes(&bytes, &name, directory)
    }

    /// Takes the text of a file. `name` is for messages, `directory` becomes `$config_directory`.
    ///
    /// # Errors
    ///
    /// A line is no setting.
    pub fn parse(text: &str, name: &str, directory: &Path) -> Result<Self, ConfigError> {
        Self::parse_bytes(text.as_bytes(), name, directory)
    }

    fn parse_bytes(bytes: &[u8], name: &str, directory: &Path) -> Result<Self, ConfigError> {
        let mut main = Self {
            file: name.to_owned(),
            directory: directory.to_owned(),
            ..Self::default()
        };
        main.entries.insert(
            "config_directory".to_owned(),
            Entry {
                value: directory.display().to_string(),
                origin: Origin::Default,
            },
        );
        for line in syntax::lines(bytes, name, &mut main.remarks)? {
            let origin = Origin::File {
                name: name.to_owned(),
                line: line.number,
            };
            let entry = Entry {
                value: line.value,
                origin: origin.clone(),
            };
            match main.entries.insert(line.name.clone(), entry.clone()) {
                Some(old) if old.value != entry.value && old.origin != Origin::Default => {
                    let oddity = Oddity::Overriding {
                        old: shown(&line.name, old.value),
                        name: line.name,
                    };
                    main.remarks.push(ConfigWarning { origin, oddity });
                }
                _ => {}
            }
        }
        Ok(main)
    }

    /// Sets one parameter over what the file says: `name=value`, as `-o` on a command line.
    ///
    /// # Errors
    ///
    /// There is no `=`, or no name before it, or a null byte.
    pub fn set(&mut self, setting: &str) -> Result<(), ConfigError> {
        let error = |why: String| ConfigError {
            origin: Origin::Override,
            parameter: None,
            problem: Problem::Syntax(why),
        };
        if setting.contains('\0') {
            return Err(error("null byte in text".to_owned()));
        }
        let (name, value) = syntax::split_setting(setting).map_err(|why| {
            let shown: String = setting.chars().take(60).collect();
            error(format!("{why}: \"{}\"", shown.escape_debug()))
        })?;
        let entry = Entry {
            value: value.to_owned(),
            origin: Origin::Override,
        };
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// The settings that a program has made, as if they stood in a file. `$` is no reference there.
    pub(crate) fn of_program(
        host_name: &str,
        texts: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let entry = |(name, text): (&str, String)| {
            let entry = Entry {
                value: text.replace('$', "$$"),
                origin: Origin::Code,
            };
            (name.to_owned(), entry)
        };
        Self {
            host_name: host_name.to_owned(),
            entries: texts.into_iter().map(entry).collect(),
            ..Self::default()
        }
    }

    /// Says how this machine is called. `myhostname` and `mydomain` have their defaults from it; a
    /// name without a dot is completed with `mydomain`. An empty name changes nothing.
    pub fn set_host_name(&mut self, name: &str) {
        if !name.is_empty() {
            name.clone_into(&mut self.host_name);
        }
    }

    /// Says how the service is called in master.cf, to which `$service_name` refers. Unless this is said, it is
    /// called as the client.
    pub fn set_service_name(&mut self, name: &str) {
        self.service_name = Some(name.to_owned());
    }

    /// The folder of the file: where relative table names start.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The name of the file, as it stands in messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The typed parameters of one client.
    ///
    /// # Errors
    ///
    /// The first value that cannot be used: a bad number, unit or word, or a reference that cannot
    /// be expanded. [`errors`](Self::errors) has them all.
    pub fn config(&self, protocol: Protocol) -> Result<Config, ConfigError> {
        let (config, errors) = self.load(protocol);
        match errors.into_iter().next() {
            None => Ok(config),
            Some(error) => Err(error),
        }
    }

    /// The typed parameters of one client, or everything that keeps them from being used.
    ///
    /// # Errors
    ///
    /// All values that cannot be used.
    pub fn checked(&self, protocol: Protocol) -> Result<Config, CompileError> {
        let (config, errors) = self.load(protocol);
        CompileError::new(errors).unless_empty().map(|()| config)
    }

    /// The parameters of one client, which are worth something only where there are no errors.
    fn load(&self, protocol: Protocol) -> (Config, Vec<ConfigError>) {
        let mut source = Source::new(self, protocol);
        let config = Config::load(&mut source);
        (config, source.into_errors())
    }

    /// Everything that keeps the settings from being used, for both clients.
    pub fn errors(&self) -> Vec<ConfigError> {
        let mut errors = CompileError::default();
        for protocol in Protocol::ALL {
            errors.add(self.load(protocol).1);
        }
        errors.into_errors()
    }

    /// The names that are set here, unknown otherwise, and referred to by known settings, directly
    /// or through each other. Postfix calls these user-defined; also the restriction classes.
    pub(crate) fn user_defined(&self) -> BTreeSet<&str> {
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut texts: Vec<&str> = Vec::new();
        for (name, entry) in &self.entries {
            if Parameter::find(name).is_some() || params::is_foreign(name) {
                texts.push(&entry.value);
            }
        }
        let classes = self.entries.get("smtpd_restriction_classes");
        let classes = classes.map(|entry| super::value::words(&entry.value));
        let mut names: Vec<&str> = classes.into_iter().flatten().collect();
        names.extend(DEFAULT_REFERENCES.iter());
        loop {
            for text in texts.drain(..) {
                names.extend(references(text));
            }
            for name in names.drain(..) {
                let Some((name, entry)) = self.entries.get_key_value(name) else {
                    continue;
                };
                let known = Parameter::find(name).is_some() || params::is_foreign(name);
                if !known && found.insert(name) {
                    texts.push(&entry.value);
                }
            }
            if texts.is_empty() {
                return found;
            }
        }
    }

    /// What is set, as written, by name.
    pub(crate) fn set_names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.value.as_str()))
    }

    /// The value as written, if it is set.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.value.as_str())
    }

    /// The place where a parameter is set, known or not.
    pub fn origin(&self, name: &str) -> Origin {
        let entry = self.entries.get(name);
        entry.map_or(Origin::Default, |entry| entry.origin.clone())
    }

    /// The defaults that depend on the machine or the process.
    pub(crate) fn computed(&self, name: &str, protocol: Protocol) -> Option<Cow<'static, str>> {
        match name {
            "myhostname" => Some(self.default_host_name(protocol).into()),
            "mydomain" => Some(self.default_domain(protocol).into()),
            "service_name" if self.service_name.is_some() => {
                self.service_name.clone().map(Cow::from)
            }
            "process_name" | "service_name" => Some(protocol.as_str().into()),
            _ => None,
        }
    }

    fn default_host_name(&self, protocol: Protocol) -> String {
        if self.host_name.contains('.') {
            return self.host_name.clone();
        }
        // Only an explicit mydomain counts: its default comes from this name.
        let domain = self
            .written("mydomain")
            .and_then(|text| expand(text, &|name| self.without_host(name, protocol)).ok())
            .unwrap_or_else(|| NO_DOMAIN.to_owned());
        format!("{}.{domain}", self.host_name)
    }

    fn default_domain(&self, protocol: Protocol) -> String {
        let host = match self.written("myhostname") {
            Some(text) => {
                expand(text, &|name| self.without_host(name, protocol)).unwrap_or_default()
            }
            None => self.default_host_name(protocol),
        };
        match host.split_once('.') {
            Some((_, domain)) => domain.to_owned(),
            None => NO_DOMAIN.to_owned(),
        }
    }

    /// [`raw`](Self::raw), but without the two defaults that would need each other.
    fn without_host(&self, name: &str, protocol: Protocol) -> Option<Cow<'_, str>> {
        match name {
            "myhostname" | "mydomain" => self.written(name).map(Cow::from),
            _ => self.raw(name, protocol),
        }
    }

    /// The value of a parameter before expansion: as written, else its default. The names of the
    /// process are its own, whatever is written.
    pub(crate) fn raw(&self, name: &str, protocol: Protocol) -> Option<Cow<'_, str>> {
        let known = || Parameter::find(name).map(|(_, named)| named.default.into());
        self.written_or_computed(name, protocol).or_else(known)
    }

    fn written_or_computed(&self, name: &str, protocol: Protocol) -> Option<Cow<'_, str>> {
        match self.written(name) {
            Some(value) if !READ_ONLY.contains(&name) => Some(value.into()),
            _ => self.computed(name, protocol),
        }
    }

    /// The value of a parameter with its references expanded, as `postconf -x` shows it. None: the
    /// name is neither set nor known.
    ///
    /// # Errors
    ///
    /// The references cannot be expanded.
    pub fn expanded(&self, name: &str, protocol: Protocol) -> Result<Option<String>, ConfigError> {
        let raw = self.raw(name, protocol);
        raw.map(|raw| self.expand(name, &raw, protocol)).transpose()
    }

    /// The value of a known parameter with its references expanded.
    pub(super) fn value(&self, named: Named, protocol: Protocol) -> Result<String, ConfigError> {
        let written = self.written_or_computed(named.name, protocol);
        let raw = written.unwrap_or(Cow::Borrowed(named.default));
        self.expand(named.name, &raw, protocol)
    }

    fn expand(&self, name: &str, raw: &str, protocol: Protocol) -> Result<String, ConfigError> {
        expand(raw, &|name| self.raw(name, protocol))
            .map_err(|error| self.error(name, Problem::Expand(error)))
    }

    /// Returns whether the settings decide on a value, rather than its default: they set the
    /// parameter, or a name without a field that the default refers to, such as the old name of the parameter.
    pub(super) fn decides(&self, named: Named) -> bool {
        let is_set = |name: &str| {
            let entry = self.entries.get(name);
            entry.is_some_and(|entry| entry.origin != Origin::Default)
        };
        let has_field =
            |name: &str| Parameter::find(name).is_some_and(|(row, _)| row.field.is_some());
        is_set(named.name) || references(named.default).any(|name| is_set(name) && !has_field(name))
    }

    pub(super) fn error(&self, name: &str, problem: Problem) -> ConfigError {
        ConfigError {
            origin: self.origin(name),
            parameter: Some(name.to_owned()),
            problem,
        }
    }
}

/// The protocol in which a name is read.
pub(crate) fn spoken_in(name: &str) -> Protocol {
    if name.starts_with("lmtp_") {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    }
}

/// A value as messages may show it.
pub(super) fn shown(name: &str, value: String) -> String {
    match Parameter::find(name) {
        Some((parameter, _)) if parameter.private => "…".to_owned(),
        _ => value,
    }
}

/// The names that defaults refer to.
static DEFAULT_REFERENCES: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let defaults = Parameter::sorted().map(|(_, named)| named.default);
    defaults.flat_map(references).collect()
});

/// The names after dollar signs, however deep in braces.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest
            .strip_prefix(['{', '('])
            .unwrap_or(rest)
            .trim_ascii_start();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        rest.get(..end).filter(|name| !name.is_empty())
    })
}
