//! The check of what is around all services: folders, the owner of the mail system, the log, the program itself.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use postfix_config::Config;

use super::{PROGRAM, report::Section};
use crate::{fatal::words, jail, log::SYSLOG, master_cf::Service, site::postlog_socket};

/// Folders of the queue in which the agent looks for something.
const FOLDERS: [&str; 4] = ["active", "pid", "private", "public"];
/// The permission to write for others than the owner.
const WRITABLE: u32 = 0o022;

/// The programs in `daemon_directory`.
pub(super) struct Installed {
    folder: PathBuf,
    /// Device and number of the file of this program.
    own: Option<(u64, u64)>,
}

impl Installed {
    /// Returns whether a service runs this program: it has its name, or is a link to it.
    pub(super) fn runs(&self, service: &Service) -> bool {
        let same = || {
            let data = fs::metadata(self.path(service)).ok()?;
            Some((data.dev(), data.ino()))
        };
        service.program() == PROGRAM || (self.own.is_some() && same() == self.own)
    }

    /// Checks the program of a service.
    pub(super) fn check(&self, service: &Service, section: &mut Section) {
        let path = self.path(service);
        let shown = path.display();
        section.fact("program", shown.to_string());
        match fs::metadata(&path) {
            Err(error) => section.refusal(format_args!("{shown}: {}", words(&error))),
            Ok(data) if !data.is_file() || data.mode() & 0o111 == 0 => {
                section.refusal(format_args!("{shown}: no program"));
            }
            // As postfix-script says.
            Ok(data) if data.uid() != 0 => {
                section.warning(format_args!("not owned by root: {shown}"));
            }
            Ok(data) if data.mode() & WRITABLE != 0 => {
                section.warning(format_args!("group or other writable: {shown}"));
            }
            Ok(_) => {}
        }
    }

    fn path(&self, service: &Service) -> PathBuf {
        self.folder.join(&service.command)
    }
}

/// Looks at what all services have around them.
pub(super) fn look(config: &Config) -> (Section, Installed) {
    let general = &config.general;
    let mut section = Section::new("surroundings");
    if !geteuid().is_root() {
        section.warning("not asked by root: what only root may read looks missing or wrong");
    }
    folders(&general.queue_directory, &mut section);
    match jail::user(&general.mail_owner) {
        Ok(user) => section.fact("mail_owner", format_args!("{} ({})", user.name, user.uid)),
        Err(fatal) => section.refusal(fatal),
    }
    log(config, &mut section);
    let own = || {
        let data = fs::metadata(env::current_exe()?)?;
        Ok::<_, io::Error>((data.dev(), data.ino()))
    };
    let installed = Installed {
        folder: general.daemon_directory.clone(),
        own: own().ok(),
    };
    (section, installed)
}

fn folders(queue: &Path, section: &mut Section) {
    section.fact("queue_directory", queue.display());
    let subfolders = FOLDERS.iter().map(|name| queue.join(name));
    let missing = |path: &PathBuf| match fs::metadata(path) {
        Ok(data) if data.is_dir() => None,
        Ok(_) => Some(format!("{}: no folder", path.display())),
        Err(error) => Some(format!("{}: {}", path.display(), words(&error))),
    };
    match missing(&queue.to_path_buf()) {
        Some(why) => section.refusal(format_args!("queue_directory: {why}")),
        None => {
            let all = subfolders.filter_map(|path| missing(&path));
            all.for_each(|why| section.refusal(format_args!("queue_directory: {why}")));
        }
    }
}

/// The socket of the log. Without one lines are lost, and nothing else.
fn log(config: &Config, section: &mut Section) {
    let socket = match config.daemon.maillog_file.is_empty() {
        true => PathBuf::from(SYSLOG),
        false => postlog_socket(config),
    };
    section.fact("log", socket.display());
    if !socket.exists() {
        section.warning(format_args!(
            "{}: nobody takes log lines there",
            socket.display()
        ));
    }
}
