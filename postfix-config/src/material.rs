//! The PEM files of the configuration, read once, when the policy is made
//! (`src/tls/tls_certkey.c`; `src/tls/tls_verify.c`; `src/tls/tls_dane.c`,
//! tls_dane_load_trustfile).

use std::path::Path;

use rustls_pki_types::pem::{PemObject, SectionKind};

use super::{Config, TlsParams, files};
use smtp_policy::tls::{PrivateKey, TlsIdentity, TlsMaterial, TrustAnchors};

/// The number of bytes of certificates a folder may hold in all its files.
const MAX_FOLDER: usize = 64 * 1024 * 1024;

/// Reads what `smtp_tls_CAfile` and its like name. Files are relative to
/// `directory`.
///
/// # Errors
/// What is wrong, with the names of the parameter and of the file.
pub(crate) fn load(config: &Config, directory: &Path) -> Result<TlsMaterial, String> {
    let loader = Loader {
        prefix: config.protocol.as_str(),
        directory,
    };
    let tls = &config.tls;
    let mut material = TlsMaterial::default();
    if !tls.tls_ca_file.is_empty() {
        let found = loader.certificates("tls_CAfile", &tls.tls_ca_file)?;
        material.authorities.extend(found);
    }
    if !tls.tls_ca_path.is_empty() {
        material
            .authorities
            .extend(loader.folder("tls_CApath", &tls.tls_ca_path)?);
    }
    // As in Postfix the system's authorities come on top of configured ones only.
    if tls.tls_append_default_ca && !material.authorities.is_empty() {
        material
            .authorities
            .extend(TlsMaterial::system_authorities());
    }
    material.identities = loader.identities(tls)?;
    Ok(material)
}

/// Reads the trust anchors in a file: certificates and public keys.
///
/// # Errors
/// What is wrong, in Postfix's words where it has some.
pub(crate) fn trust_anchors(file: &str, directory: &Path) -> Result<TrustAnchors, String> {
    let pem = files::read(&directory.join(file), files::MAX_FILE)
        .map_err(|error| format!("error opening trust anchor file: {file}: {error}"))?;
    TrustAnchors::from_pem(&pem).map_err(|error| format!("error reading: {file}: {error}"))
}

struct Loader<'a> {
    prefix: &'static str,
    directory: &'a Path,
}

impl Loader<'_> {
    fn sections(&self, parameter: &str, file: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
        let fail = |error: String| format!("{}_{parameter}: {file}: {error}", self.prefix);
        let pem = files::read(&self.directory.join(file), files::MAX_FILE)
            .map_err(|error| fail(error.to_string()))?;
        <(SectionKind, Vec<u8>)>::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| fail(error.to_string()))
    }

    fn certificates(&self, parameter: &str, file: &str) -> Result<Vec<Vec<u8>>, String> {
        let found = certificates(self.sections(parameter, file)?);
        if found.is_empty() {
            return Err(format!(
                "{}_{parameter}: {file}: no certificate",
                self.prefix
            ));
        }
        Ok(found)
    }

    /// The certificates of all files in a folder. Files that hold none are passed
    /// over, since such folders also hold lists of revoked certificates.
    fn folder(&self, parameter: &str, folder: &str) -> Result<Vec<Vec<u8>>, String> {
        let fail =
            |error: std::io::Error| format!("{}_{parameter}: {folder}: {error}", self.prefix);
        let listed = files::list(&self.directory.join(folder)).map_err(fail)?;
        let (mut found, mut room) = (Vec::new(), MAX_FOLDER);
        for file in listed {
            let sections = self.sections(parameter, &file.to_string_lossy());
            let more = certificates(sections.unwrap_or_default());
            let size = more.iter().map(Vec::len).sum();
            room = room.checked_sub(size).ok_or_else(|| {
                fail(std::io::Error::other(format!(
                    "more than {MAX_FOLDER} bytes of certificates"
                )))
            })?;
            found.extend(more);
        }
        // Folders made for OpenSSL hold each certificate under two names.
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn identities(&self, tls: &TlsParams) -> Result<Vec<TlsIdentity>, String> {
        if !tls.tls_chain_files.is_empty() {
            return self.chain_files(&tls.tls_chain_files);
        }
        let pairs = [
            (
                "tls_cert_file",
                &tls.tls_cert_file,
                "tls_key_file",
                &tls.tls_key_file,
            ),
            (
                "tls_eccert_file",
                &tls.tls_eccert_file,
                "tls_eckey_file",
                &tls.tls_eckey_file,
            ),
        ];
        let mut identities = Vec::new();
        for (parameter, file, key_parameter, key_file) in pairs {
            if file.is_empty() {
                continue;
            }
            let chain = self.certificates(parameter, file)?;
            let key = self
                .sections(key_parameter, key_file)?
                .into_iter()
                .find_map(private_key)
                .ok_or_else(|| {
                    format!(
                        "{}_{key_parameter}: {key_file}: no private key",
                        self.prefix
                    )
                })?;
            identities.push(TlsIdentity {
                file: key_file.to_string(),
                chain,
                key,
            });
        }
        Ok(identities)
    }

    /// `smtp_tls_chain_files`: each key begins an identity, and the certificates
    /// behind it belong to it.
    fn chain_files(&self, files: &[String]) -> Result<Vec<TlsIdentity>, String> {
        let parameter = "tls_chain_files";
        let fail = |file: &str, why: &str| format!("{}_{parameter}: {file}: {why}", self.prefix);
        let mut identities: Vec<TlsIdentity> = Vec::new();
        for file in files {
            for section in self.sections(parameter, file)? {
                match section {
                    (SectionKind::Certificate, der) => match identities.last_mut() {
                        Some(identity) => identity.chain.push(der),
                        None => {
                            return Err(fail(
                                file,
                                "a certificate without a private key before it",
                            ));
                        }
                    },
                    other => identities.extend(private_key(other).map(|key| TlsIdentity {
                        file: file.clone(),
                        chain: Vec::new(),
                        key,
                    })),
                }
            }
        }
        match identities.iter().find(|identity| identity.chain.is_empty()) {
            Some(bare) => Err(fail(
                &bare.file,
                "a private key without a certificate behind it",
            )),
            None => Ok(identities),
        }
    }
}

fn certificates(sections: Vec<(SectionKind, Vec<u8>)>) -> Vec<Vec<u8>> {
    let is_certificate = |kind: &SectionKind| matches!(kind, SectionKind::Certificate);
    sections
        .into_iter()
        .filter(|(kind, _)| is_certificate(kind))
        .map(|(_, der)| der)
        .collect()
}

fn private_key((kind, der): (SectionKind, Vec<u8>)) -> Option<PrivateKey> {
    match kind {
        SectionKind::PrivateKey => Some(PrivateKey::Pkcs8(der)),
        SectionKind::RsaPrivateKey => Some(PrivateKey::Pkcs1(der)),
        SectionKind::EcPrivateKey => Some(PrivateKey::Sec1(der)),
        _ => None,
    }
}
