//! Values whose default follows from other parameters.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::parameter::{Kind, Parameter};
use super::value::Setting;

/// A value that follows from other parameters until it is set.
///
/// `smtp_helo_name` is `$myhostname` unless main.cf or a program says otherwise. Reading the field
/// gives the value; writing to it sets it, after which no other parameter changes it. A value that
/// is not set is made anew when a policy is built of the [`Config`](super::Config).
///
/// ```
/// use postfix_config::{Config, Protocol};
///
/// let mut config = Config::default_for(Protocol::Smtp);
/// assert!(!config.helo.helo_name.is_set());
/// config.helo.helo_name = "app.example.org".into();
/// assert!(config.helo.helo_name.is_set());
/// assert_eq!(*config.helo.helo_name, "app.example.org");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived<T> {
    value: T,
    is_set: bool,
}

impl<T> Derived<T> {
    /// A value that is set.
    pub fn set(value: T) -> Self {
        Self {
            value,
            is_set: true,
        }
    }

    /// Returns whether the value was set, rather than derived.
    pub fn is_set(&self) -> bool {
        self.is_set
    }

    /// Has the value follow from the other parameters again.
    pub fn unset(&mut self) {
        self.is_set = false;
    }

    /// Replaces a value that is not set by what follows from the other parameters.
    pub(crate) fn derive(&mut self, value: T) {
        if !self.is_set {
            self.value = value;
        }
    }
}

impl<T> Deref for Derived<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Derived<T> {
    /// The value for writing, which sets it.
    fn deref_mut(&mut self) -> &mut T {
        self.is_set = true;
        &mut self.value
    }
}

impl<T: fmt::Display> fmt::Display for Derived<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> From<T> for Derived<T> {
    fn from(value: T) -> Self {
        Self::set(value)
    }
}

impl From<&str> for Derived<String> {
    fn from(value: &str) -> Self {
        Self::set(value.to_owned())
    }
}

impl<T: Setting> Setting for Derived<T> {
    const KIND: Kind = T::KIND;

    fn read(text: &str, parameter: &Parameter, default: &str) -> Result<Self, String> {
        T::read(text, parameter, default).map(|value| Self {
            value,
            is_set: false,
        })
    }

    fn check(&self, parameter: &Parameter) -> Result<(), String> {
        self.value.check(parameter)
    }

    fn text(&self) -> Option<String> {
        self.is_set.then(|| self.value.text()).flatten()
    }

    fn is_set(&self) -> bool {
        self.is_set
    }

    fn respell(&mut self, parameter: &Parameter) {
        self.value.respell(parameter);
    }

    fn mark(&mut self, is_set: bool) {
        self.is_set = is_set;
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        T::unchecked(text).map(Self::set)
    }
}
