//! From main.cf to typed fields: reading, checking, deriving.

use super::error::{ConfigError, Origin, Problem};
use super::value::Setting;
use super::{MainCf, Parameter, Protocol, Status};

/// Gives typed values to the groups and collects what is wrong.
pub(crate) struct Source<'a> {
    main: &'a MainCf,
    protocol: Protocol,
    errors: Vec<ConfigError>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(main: &'a MainCf, protocol: Protocol) -> Self {
        Self {
            main,
            protocol,
            errors: Vec::new(),
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The name of this machine, from which `myhostname` has its default.
    pub(crate) fn host_name(&self) -> &str {
        &self.main.host_name
    }

    /// The errors that were found. A default is wrong only because of what it refers to, which
    /// says it better.
    pub(crate) fn into_errors(mut self) -> Vec<ConfigError> {
        let is_default = |error: &ConfigError| error.origin == Origin::Default;
        if !self.errors.iter().all(is_default) {
            self.errors.retain(|error| !is_default(error));
        }
        self.errors
    }

    /// Finds the settings that ask for what is not done here, and must not be passed over.
    pub(crate) fn deny(&mut self) {
        for parameter in Parameter::all() {
            let Status::Denied(what) = parameter.status else {
                continue;
            };
            let named = parameter.named(self.protocol);
            let wanted = named.filter(|named| !self.main.is_default(named.name));
            self.errors.extend(wanted.map(|named| {
                let why = format!("only the default is supported: {what}");
                self.main.error(named.name, Problem::Value(why))
            }));
        }
    }

    /// Returns whether a parameter is empty after expansion.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        matches!(self.main.expanded(name, self.protocol), Ok(Some(text)) if text.is_empty())
    }

    /// The value of one entry. After an error it is the type's zero, which nobody gets to see.
    pub(crate) fn read<T: Setting>(&mut self, parameter: &Parameter) -> T {
        match self.try_read(parameter) {
            Ok(value) => value,
            Err(error) => {
                self.errors.push(error);
                T::default()
            }
        }
    }

    fn try_read<T: Setting>(&self, parameter: &Parameter) -> Result<T, ConfigError> {
        let Some(named) = parameter.named(self.protocol) else {
            let spelling = parameter
                .smtp
                .or(parameter.lmtp)
                .map_or("", |named| named.name);
            return T::parse(parameter.absent, parameter, parameter.absent)
                .map_err(|why| self.main.error(spelling, Problem::Value(why)));
        };
        let text = self.main.value(named, self.protocol)?;
        let mut value = T::parse(&text, parameter, named.default)
            .map_err(|why| self.main.error(named.name, Problem::Value(why)))?;
        value.mark(self.main.decides(named));
        Ok(value)
    }

    /// Checks a field that a program has set, and derives one that it has not.
    pub(crate) fn settle<T: Setting>(&mut self, field: &mut T, parameter: &Parameter) {
        if !field.is_set() {
            *field = self.read(parameter);
            field.mark(false);
        } else if let Err(why) = field.check(parameter) {
            let spelling = parameter.named(self.protocol).or(parameter.smtp);
            let spelling = spelling.map_or("", |named| named.name);
            let error = self.main.error(spelling, Problem::Value(why));
            self.errors.push(error);
        } else {
            field.respell(parameter);
        }
    }
}
