//! The place of the accounts file.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    exit::{Exit, Failure},
    user,
};

/// The file for all users, which counts where a user has none.
const SYSTEM: &str = "/etc/outpost/config.toml";

/// Finds the accounts file: the one that is named, or the one of `OUTPOST_CONFIG`, or the first that is
/// there of the user's and the system's.
///
/// # Errors
/// There is none.
pub(crate) fn locate(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if let Some(path) = named
        .map(Path::to_owned)
        .or(set("OUTPOST_CONFIG").map(PathBuf::from))
    {
        return Ok(path);
    }
    let places = places(set("XDG_CONFIG_HOME"), user::home());
    match places.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => {
            let looked: Vec<String> = places
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let looked = looked.join(", ");
            let what = format!(
                "there is no accounts file ({looked}): 'outpost account --help' shows how to write one"
            );
            Err(Failure::new(Exit::Config, what))
        }
    }
}

/// The places where it may be, the best one first. A relative XDG_CONFIG_HOME does not count.
fn places(xdg: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let folder = xdg
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or(home.map(|home| home.join(".config")));
    let user = folder.map(|folder| folder.join("outpost").join("config.toml"));
    user.into_iter().chain([PathBuf::from(SYSTEM)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_comes_before_the_system() {
        let of = |xdg: Option<&str>, home: Option<&str>| {
            places(xdg.map(OsString::from), home.map(PathBuf::from))
        };
        let (user, system) = ("/h/me/.config/outpost/config.toml", SYSTEM);
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(of(None, Some("/h/me")), paths(&[user, system]));
        assert_eq!(of(Some("rel"), Some("/h/me")), paths(&[user, system]));
        assert_eq!(
            of(Some("/x"), Some("/h/me")),
            paths(&["/x/outpost/config.toml", system])
        );
        assert_eq!(of(None, None), paths(&[system]));
    }
}
