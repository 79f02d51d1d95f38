//! The rights that a process gives up before it meets anybody (`src/util/chroot_uid.c`).

use std::{
    ffi::CString,
    fmt::Display,
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::{
    libc,
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{
        User, chdir, chroot, geteuid, getgroups, getresgid, getresuid, initgroups, setgid, setuid,
    },
};

use postfix_ipc::command_line::{CommandLine, Switch};

use crate::fatal::{Fatal, words};

/// The rights that a process gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jail {
    /// Becomes `mail_owner` (column "unprivileged").
    unprivileged: bool,
    /// Sees nothing but the queue directory (column "chroot").
    chroot: bool,
}

impl Jail {
    /// The rights that master(8) asks this process to give up.
    ///
    /// # Errors
    /// Only root can do that.
    pub(crate) fn of(options: &CommandLine) -> Result<Self, Fatal> {
        let jail = Self {
            unprivileged: options.has(Switch::Unprivileged),
            chroot: options.has(Switch::Chroot),
        };
        match (jail.unprivileged || jail.chroot) && !geteuid().is_root() {
            true => Err(Fatal::new(
                "not started by root, which is needed to become mail_owner and to chroot",
            )),
            false => Ok(jail),
        }
    }
}

/// Goes to the queue directory.
///
/// # Errors
/// It is not there.
pub(crate) fn go_to_queue(queue: &Path) -> Result<(), Fatal> {
    let failed = |error: nix::Error| {
        Fatal::new(format!(
            "queue_directory: {}: {}",
            queue.display(),
            error.desc()
        ))
    };
    chdir(queue).map_err(failed)
}

/// Opens the lock that the processes of a service accept under, `pid/unix.smtp`. It belongs to root, and is no link.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn accept_lock(queue: &Path, service: &str) -> Result<File, Fatal> {
    // A service may have a slash in its name.
    let path = queue.join(format!("pid/unix.{}", service.replace('/', "_")));
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(|error| {
            Fatal::new(format!(
                "open lock file {}: {}",
                path.display(),
                words(&error)
            ))
        })
}

/// Allows as many open files as the system lets this process have.
pub(crate) fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // What there is has to do then.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Goes to the queue directory and gives up what the service is to do without, for good.
///
/// # Errors
/// The system refuses, there is no such owner, or rights are left.
pub(crate) fn enter(jail: Jail, queue: &Path, owner: &str) -> Result<(), Fatal> {
    let shown = queue.display();
    let failed =
        |what: &dyn Display, error: nix::Error| Fatal::new(format!("{what}: {}", error.desc()));
    go_to_queue(queue)?;
    let user = match jail.unprivileged {
        true => Some(user(owner)?),
        false => None,
    };
    if let Some(user) = &user {
        let name = CString::new(owner).map_err(|_| Fatal::new("mail_owner: null byte in text"))?;
        setgid(user.gid).map_err(|error| failed(&format!("setgid({})", user.gid), error))?;
        initgroups(&name, user.gid).map_err(|error| failed(&"initgroups", error))?;
    }
    if jail.chroot {
        chroot(queue).map_err(|error| failed(&format!("chroot({shown})"), error))?;
        chdir("/").map_err(|error| failed(&"chdir(/)", error))?;
    }
    match user {
        Some(user) => {
            setuid(user.uid).map_err(|error| failed(&format!("setuid({})", user.uid), error))?;
            check(&user)
        }
        None => Ok(()),
    }
}

/// The owner of the mail system, who is not root.
///
/// # Errors
/// There is no such user, or one with the rights of root.
pub(crate) fn user(owner: &str) -> Result<User, Fatal> {
    match User::from_name(owner) {
        Ok(Some(user)) if user.uid.is_root() || user.gid.as_raw() == 0 => Err(Fatal::new(format!(
            "mail_owner: the user {owner} has the rights of root"
        ))),
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(Fatal::new(format!(
            "mail_owner: unknown user name value: {owner}"
        ))),
        Err(error) => Err(Fatal::new(format!("mail_owner: {owner}: {error}"))),
    }
}

/// Makes sure that nothing is left of what was given up.
fn check(user: &User) -> Result<(), Fatal> {
    let failed =
        |error: nix::Error| Fatal::new(format!("cannot find out which rights are left: {error}"));
    let uids = getresuid().map_err(failed)?;
    let gids = getresgid().map_err(failed)?;
    let users = [uids.real, uids.effective, uids.saved];
    let groups = [gids.real, gids.effective, gids.saved];
    let member = getgroups().map_err(failed)?;
    let left = users.iter().any(|uid| *uid != user.uid)
        || groups.iter().any(|gid| *gid != user.gid)
        || member.iter().any(|gid| gid.as_raw() == 0);
    match left {
        true => Err(Fatal::new("rights are left that were to be given up")),
        false => Ok(()),
    }
}
