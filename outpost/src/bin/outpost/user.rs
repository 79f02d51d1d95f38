//! The person who calls the program, as the system knows them.

use std::{env, path::PathBuf};

/// The login name, or `nobody` where the system has none.
pub(crate) fn login_name() -> String {
    known().map_or_else(|| "nobody".to_owned(), |known| known.name)
}

/// The home folder.
pub(crate) fn home() -> Option<PathBuf> {
    let set = env::var_os("HOME").filter(|home| !home.is_empty());
    set.map(PathBuf::from).or_else(|| Some(known()?.home))
}

/// The full name: the environment variable NAME, or else what the system says.
pub(crate) fn full_name() -> Option<String> {
    let set = env::var("NAME").ok();
    let name = set.or_else(|| {
        let known = known()?;
        Some(of_gecos(&known.gecos, &known.name))
    })?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The full name in a field of passwd(5): it ends with the first comma, and `&` is the login name
/// with a capital letter.
fn of_gecos(gecos: &str, login: &str) -> String {
    let name = gecos.split(',').next().unwrap_or_default();
    let mut letters = login.chars();
    let capital: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    name.replace('&', &capital)
}

/// An entry of passwd(5).
struct Known {
    name: String,
    gecos: String,
    home: PathBuf,
}

#[cfg(unix)]
fn known() -> Option<Known> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok()??;
    Some(Known {
        name: user.name,
        gecos: user.gecos.to_string_lossy().into_owned(),
        home: user.dir,
    })
}

#[cfg(not(unix))]
fn known() -> Option<Known> {
    Some(Known {
        name: env::var("USERNAME").ok()?,
        gecos: String::new(),
        home: PathBuf::from(env::var_os("USERPROFILE")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_ends_at_the_comma_and_may_refer_to_the_login() {
        assert_eq!(of_gecos("Ann Lee,,,", "ann"), "Ann Lee");
        assert_eq!(of_gecos("& Lee,Room 7", "ann"), "Ann Lee");
        assert_eq!(of_gecos("", "ann"), "");
    }
}
