//! The key that signs reports about TLS: three parameters, and a file that others may not read.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use outpost_queue::tlsrpt::{DkimError, DkimSigner};

pub(super) const KEY_FILE: &str = "queue_tls_report_dkim_key_file";
pub(super) const SELECTOR: &str = "queue_tls_report_dkim_selector";
pub(super) const DOMAIN: &str = "queue_tls_report_dkim_domain";
const MYHOSTNAME: &str = "myhostname";
/// The most bytes of a file with a key.
const LIMIT: u64 = 64 * 1024;

/// The values of the parameters; empty where they are not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dkim {
    pub(super) key_file: String,
    pub(super) selector: String,
    pub(super) domain: String,
}

/// The parameter that is wrong, and the reason.
type Wrong = (&'static str, String);

impl Dkim {
    /// Returns whether reports are to be signed.
    ///
    /// # Errors
    /// Something is missing that the rest makes no sense without.
    pub(super) fn is_wanted(&self) -> Result<bool, Wrong> {
        let given = |text: &str| !text.is_empty();
        let without_key = |name| Err((name, format!("it is of no use without {KEY_FILE}")));
        match given(&self.key_file) {
            true if given(&self.selector) => Ok(true),
            true => Err((KEY_FILE, format!("it is of no use without {SELECTOR}"))),
            false if given(&self.selector) => without_key(SELECTOR),
            false if given(&self.domain) => without_key(DOMAIN),
            false => Ok(false),
        }
    }

    /// Reads the key for reports that come from a sender in this domain.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, there is no key in it that can sign, or the domain is none that signs
    /// for the sender.
    pub(super) fn signer(&self, sender: &str) -> Result<DkimSigner, Wrong> {
        let (domain, its_name) = match self.domain.as_str() {
            "" => (sender, MYHOSTNAME),
            domain => (domain, DOMAIN),
        };
        let of_file = |why: String| (KEY_FILE, format!("{}: {why}", self.key_file));
        let pem = read(Path::new(&self.key_file)).map_err(of_file)?;
        let signer = DkimSigner::new(domain, &self.selector, &pem);
        let signer = signer.map_err(|why| match why {
            DkimError::Domain(_) => (its_name, why.to_string()),
            DkimError::Selector(_) | DkimError::TooLong => (SELECTOR, why.to_string()),
            _ => of_file(why.to_string()),
        })?;
        match signer.is_aligned_with(sender) {
            true => Ok(signer),
            false => {
                let why = format!(
                    "{domain} does not sign for {sender}, from which reports come: it has to be that name \
                     ({MYHOSTNAME}), or a domain that it is in"
                );
                Err((its_name, why))
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |why: io::Error| format!("cannot read it: {why}");
    let file = File::open(path).map_err(unreadable)?;
    if let Some(mode) = exposure(&file).map_err(unreadable)? {
        return Err(format!(
            "others than its owner and group may read it, or others than its owner may write it (its mode is {mode:04o}): \
             use chmod 600"
        ));
    }
    let mut bytes = Vec::new();
    let read = file.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    match bytes.len() as u64 > LIMIT {
        true => Err("there is too much in it for a key".to_owned()),
        false => Ok(bytes),
    }
}

/// The mode of a file that is too open. Its group may read it: that is how supervisors hand secrets to a service.
#[cfg(unix)]
fn exposure(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt;

    let mode = file.metadata()?.mode() & 0o7777;
    Ok(Some(mode).filter(|mode| mode & 0o027 != 0))
}

/// Files have no modes here.
#[cfg(not(unix))]
fn exposure(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
}
