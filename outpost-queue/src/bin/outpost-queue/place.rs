//! The store of a run: where it is, and how it is opened.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use outpost_queue::store::AnyStore;

use crate::{
    cli::PlaceArgs,
    exit::{Exit, Failure, OrExit},
    settings,
};

/// The environment variable that names the store.
const VARIABLE: &str = "OUTPOST_STORE";
/// The default place of root, who runs services.
const OF_SYSTEM: &str = "/var/lib/outpost/queue.db";

/// The place of a store. Its text form shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of SQLite.
    File(PathBuf),
    /// A database elsewhere, by its URL.
    Url(Hidden),
}

/// A URL that may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(String);

/// The way to deal with a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made.
    Make,
    /// It is an error.
    Refuse,
}

impl Place {
    /// The place that command line, environment, settings or custom name, in this order.
    ///
    /// # Errors
    /// The settings are wrong, or this user has no folder for data.
    pub(crate) fn of(args: &PlaceArgs) -> Result<Self, Failure> {
        if let Some(named) = &args.store.store {
            return Ok(Self::parse(named));
        }
        if let Some(named) = env::var(VARIABLE).ok().filter(|text| !text.is_empty()) {
            return Ok(Self::parse(&named));
        }
        match settings::store(&args.settings)? {
            named if named.is_empty() => Ok(Self::File(usual()?)),
            named => Ok(Self::parse(&named)),
        }
    }

    fn parse(text: &str) -> Self {
        // What follows another scheme may have a password in it as well.
        let scheme = text
            .split('/')
            .next()
            .and_then(|start| start.split_once(':'));
        if scheme.is_some_and(|(scheme, _)| scheme != "sqlite") {
            return Self::Url(Hidden(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        // sqlite:///path, as others write it.
        let path = match path.strip_prefix("//") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        Self::File(PathBuf::from(path))
    }

    /// Opens the store. A file is made where there is none, if that is wanted; a folder only at the default place.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(crate) async fn open(&self, missing: Missing) -> Result<AnyStore, Failure> {
        let url = match self {
            Self::Url(Hidden(url)) => url.clone(),
            Self::File(path) => {
                self.prepare(path, missing)?;
                format!("sqlite:{}", path.display())
            }
        };
        AnyStore::open(&url).await.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.error = failure.error.context(self.to_string());
            failure
        })
    }

    fn prepare(&self, path: &Path, missing: Missing) -> Result<(), Failure> {
        if path.as_os_str().is_empty() {
            return Err(Failure::new(Exit::Usage, "the store has no name"));
        }
        let is_there = path
            .try_exists()
            .context(self.to_string())
            .or_exit(Exit::Unavailable)?;
        match missing {
            Missing::Refuse if !is_there => Err(Failure::new(
                Exit::Unavailable,
                format!("{self}: there is no queue: 'outpost-queue submit' or 'run' makes one"),
            )),
            Missing::Make if !is_there && usual().is_ok_and(|usual| usual == *path) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                make_folder(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))
                    .or_exit(Exit::Unavailable)
            }
            _ => Ok(()),
        }
    }
}

/// Makes a folder that nobody else can look into.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The default place.
fn usual() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from(OF_SYSTEM));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let named = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(absolute);
    let home = || {
        env::home_dir()
            .filter(absolute)
            .map(|home| home.join(".local/share"))
    };
    let folder = named.or_else(home).ok_or_else(|| {
        let what = "there is no home folder for the queue: --store says where it is";
        Failure::new(Exit::Usage, what)
    })?;
    Ok(folder.join("outpost/queue.db"))
}

#[cfg(unix)]
fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for Hidden {
    /// The URL without password, and without parameters, among which one may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = url.split_once("://") else {
            return f.write_str("a database");
        };
        // A password may have an @ in it that is not escaped.
        match rest.rsplit_once('@') {
            None => write!(f, "{scheme}://{rest}"),
            Some((login, place)) => {
                let user = login.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_or_a_database() {
        for (text, path) in [
            ("queue.db", "queue.db"),
            ("sqlite:queue.db", "queue.db"),
            ("sqlite:/var/q.db", "/var/q.db"),
            ("sqlite:///var/q.db", "/var/q.db"),
            ("/var/q.db", "/var/q.db"),
        ] {
            assert_eq!(Place::parse(text), Place::File(path.into()), "{text}");
        }
        assert!(matches!(Place::parse("postgres://h/d"), Place::Url(_)));
        assert!(matches!(Place::parse("postgresql://h/d"), Place::Url(_)));
    }

    #[test]
    fn nothing_shows_a_password() {
        for (url, shown) in [
            ("postgres://me:pw@h:5432/d", "postgres://me@h:5432/d"),
            ("postgres://me:p@w@h/d?password=pw", "postgres://me@h/d"),
            ("postgres://h/d?user=me&password=pw", "postgres://h/d"),
            ("postgres:pw", "a database"),
        ] {
            let place = Place::parse(url);
            assert_eq!(place.to_string(), shown);
            assert!(!format!("{place:?}").contains("pw"), "{place:?}");
        }
    }
}
