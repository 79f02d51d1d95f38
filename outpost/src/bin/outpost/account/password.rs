//! The sources of passwords. A password is held as short as it can be, and never shown.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, anyhow, bail};
use smtp_proto::Secret;

use crate::exit::{Exit, Failure, OrExit};

/// The most bytes that a command or file may give: a password is its first line.
const LIMIT: u64 = 64 * 1024;

/// The source of a password.
#[derive(Debug)]
pub(crate) enum PasswordSource {
    /// The accounts file itself.
    Here(Secret),
    /// The first line that a command writes. It is run without a shell.
    Command(Vec<String>),
    /// The first line of a file that nobody else may read.
    File(PathBuf),
    /// The keyring of the desktop, by `secret-tool lookup service smtp host HOST user USER`.
    Keyring,
}

impl PasswordSource {
    /// Gets the password for this host and user.
    ///
    /// # Errors
    /// A command that fails is a reason to try again later ([`Exit::Deferred`]); all else is a
    /// mistake in the accounts ([`Exit::Config`]).
    pub(crate) fn get(&self, host: &str, user: &str) -> Result<Secret, Failure> {
        match self {
            Self::Here(password) => Ok(password.clone()),
            Self::Command(command) => of_command(command),
            Self::File(path) => of_file(path).or_exit(Exit::Config),
            Self::Keyring => of_command(&keyring(host, user)),
        }
    }

    /// Words for the source, without what is secret.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Here(_) => "in the accounts file".to_owned(),
            Self::Command(command) => {
                format!(
                    "from the command {}",
                    command.first().map_or("", String::as_str)
                )
            }
            Self::File(path) => format!("from the file {}", path.display()),
            Self::Keyring => "from the keyring".to_owned(),
        }
    }
}

/// The command that asks the keyring, with the attributes that msmtp's users have, too.
fn keyring(host: &str, user: &str) -> Vec<String> {
    let words: &[&str] = match cfg!(target_os = "macos") {
        true => &[
            "security",
            "find-internet-password",
            "-s",
            host,
            "-a",
            user,
            "-w",
        ],
        false => &[
            "secret-tool",
            "lookup",
            "service",
            "smtp",
            "host",
            host,
            "user",
            user,
        ],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn of_command(command: &[String]) -> Result<Secret, Failure> {
    let (program, arguments) = command
        .split_first()
        .map_or(("", command), |(first, rest)| (first.as_str(), rest));
    let mut child = Command::new(program)
        .args(arguments)
        // Standard input is the message.
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program} for the password"))
        .or_exit(Exit::Config)?;
    // One that gives too much is not read to its end, and may fail for that.
    let output = child.stdout.take().map_or(Ok(Vec::new()), bounded);
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {program}"))
        .or_exit(Exit::System)?;
    if output.is_ok() && !status.success() {
        let what = format!("{program} was to give the password, and ended with {status}");
        return Err(Failure::new(Exit::Deferred, what));
    }
    output
        .map_err(anyhow::Error::from)
        .and_then(|bytes| first_line(&bytes))
        .with_context(|| format!("the password that {program} gives"))
        .or_exit(Exit::Config)
}

fn of_file(path: &Path) -> anyhow::Result<Secret> {
    let name = path.display();
    let file = fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    match exposure(&file).with_context(|| format!("cannot read {name}"))? {
        Exposure::Open(why) => bail!("{name} has a password in it, and {why}: use chmod 600"),
        Exposure::Private => {}
    }
    let bytes = bounded(file).with_context(|| format!("cannot read {name}"))?;
    first_line(&bytes).with_context(|| format!("the password in {name}"))
}

/// All of a source that has no more than the limit.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LIMIT {
        true => Err(io::Error::other("there is too much of it")),
        false => Ok(bytes),
    }
}

/// The first line, without its end.
fn first_line(bytes: &[u8]) -> anyhow::Result<Secret> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        bail!("its first line is empty");
    }
    let text = std::str::from_utf8(line).map_err(|_| anyhow!("it is not UTF-8"))?;
    if text.contains(char::is_control) {
        bail!("there are control characters in it");
    }
    Ok(Secret::new(text))
}

/// The openness of a file to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Its owner alone may read and write it, and that is who runs this, or root.
    Private,
    /// Others can read or write it, for this reason.
    Open(String),
}

/// Looks at who may read or write a file that is open.
#[cfg(unix)]
pub(super) fn exposure(file: &fs::File) -> io::Result<Exposure> {
    use std::os::unix::fs::MetadataExt;

    let data = file.metadata()?;
    let mode = data.mode() & 0o7777;
    let owners = [nix::unistd::Uid::effective().as_raw(), 0];
    Ok(if mode & 0o077 != 0 {
        Exposure::Open(format!(
            "others may read or write the file (its mode is {mode:04o})"
        ))
    } else if !owners.contains(&data.uid()) {
        Exposure::Open("the file belongs to somebody else".to_owned())
    } else {
        Exposure::Private
    })
}

/// Files have no modes here.
#[cfg(not(unix))]
pub(super) fn exposure(_: &fs::File) -> io::Result<Exposure> {
    Ok(Exposure::Private)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    fn command(words: &[&str]) -> Result<Secret, Failure> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        PasswordSource::Command(words).get("host", "user")
    }

    #[test]
    fn a_password_is_the_first_line_that_a_command_writes() {
        let secret = command(&["printf", "sword fish\\r\\nnotes\\n"]).unwrap();
        assert_eq!(secret.expose(), b"sword fish");
        // No shell looks at it.
        let secret = command(&["printf", "%s", "$HOME `x`"]).unwrap();
        assert_eq!(secret.expose(), b"$HOME `x`");
    }

    #[test]
    fn a_command_that_fails_or_gives_nothing_is_told_by_its_name() {
        for (words, exit, said) in [
            (
                &["false"][..],
                Exit::Deferred,
                "false was to give the password",
            ),
            (
                &["/no/such/program"],
                Exit::Config,
                "cannot run /no/such/program",
            ),
            (&["true"], Exit::Config, "its first line is empty"),
            (&["printf", "a\\tb"], Exit::Config, "control characters"),
            (&["printf", "\\377"], Exit::Config, "not UTF-8"),
            (
                &["head", "-c", "100000", "/dev/zero"],
                Exit::Config,
                "too much",
            ),
        ] {
            let failure = command(words).unwrap_err();
            assert_eq!(failure.exit, exit, "{words:?}: {failure}");
            assert!(failure.to_string().contains(said), "{words:?}: {failure}");
        }
    }

    #[test]
    fn a_password_file_that_others_may_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"secret\n").unwrap();
        let get = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(file.path(), permissions).unwrap();
            PasswordSource::File(file.path().to_owned()).get("host", "user")
        };
        assert_eq!(get(0o600).unwrap().expose(), b"secret");
        assert_eq!(get(0o400).unwrap().expose(), b"secret");
        for mode in [0o640, 0o604, 0o620, 0o666] {
            let failure = get(mode).unwrap_err();
            assert_eq!(failure.exit, Exit::Config);
            let said = failure.to_string();
            assert!(
                said.contains(&format!("{mode:04o}")) && !said.contains("secret"),
                "{said}"
            );
        }
    }
}
