//! The address of a store: a connection URI of PostgreSQL (its documentation, section "Connection URIs"), with two
//! parameters more.

use core::time::Duration;

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::StoreError;

/// The certificate authorities that are trusted to name the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nobody is asked who the server is.
    Anybody,
    /// Those of the operating system.
    System,
    /// Those in a PEM file.
    File(String),
}

/// The settings in an address.
#[derive(Debug)]
pub(super) struct Settings {
    /// The way to connect. Its debug form has no password.
    pub(super) config: Config,
    /// The authorities that TLS trusts.
    pub(super) trust: Trust,
    /// The schema.
    pub(super) schema: String,
    /// The most connections.
    pub(super) connections: usize,
}

/// The values of our own parameters.
#[derive(Default)]
struct Ours {
    schema: Option<String>,
    connections: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

/// Reads an address. Errors name parameters, and not the address, which may have a password.
pub(super) fn parse(url: &str) -> Result<Settings, StoreError> {
    let unusable = |why: String| StoreError::Unusable(format!("address of PostgreSQL: {why}"));
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if query.contains('@')
        || !query.split('&').all(|pair| {
            pair.split('=')
                .next()
                .is_none_or(|name| name.bytes().all(plain))
        })
    {
        // It may be the end of a password that is not encoded.
        return Err(unusable(
            "what is behind the question mark is not of parameters".to_owned(),
        ));
    }
    let mut ours = Ours::default();
    let mut theirs: Vec<&str> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "schema" => &mut ours.schema,
            "connections" => &mut ours.connections,
            "sslmode" => &mut ours.sslmode,
            "sslrootcert" => &mut ours.sslrootcert,
            _ => {
                theirs.push(pair);
                continue;
            }
        };
        let value =
            decode(value).ok_or_else(|| unusable(format!("parameter {name} is badly encoded")))?;
        if place.replace(value).is_some() {
            return Err(unusable(format!("parameter {name} is there twice")));
        }
    }
    let mut config: Config = match theirs.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", theirs.join("&")),
    }
    .parse()
    .map_err(|why: tokio_postgres::Error| {
        use core::error::Error as _;
        let cause = why
            .source()
            .map_or_else(|| why.to_string(), ToString::to_string);
        unusable(cause)
    })?;
    let trust = tls(&mut config, ours.sslmode.as_deref(), ours.sslrootcert).map_err(unusable)?;
    let schema = ours.schema.unwrap_or_else(|| "outpost".to_owned());
    check_schema(&schema)?;
    let connections = match ours.connections.as_deref() {
        None => 8,
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=1000).contains(number))
            .ok_or_else(|| unusable("connections is no number from 1 to 1000".to_owned()))?,
    };
    set_defaults(&mut config);
    Ok(Settings {
        config,
        trust,
        schema,
        connections,
    })
}

/// Refuses what cannot be the name of a schema.
pub(super) fn check_schema(schema: &str) -> Result<(), StoreError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = schema
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    match starts && schema.len() < 64 && schema.bytes().all(plain) && !schema.starts_with("pg_") {
        true => Ok(()),
        false => Err(StoreError::Unusable(
            "the schema's name is not of up to 63 small letters, digits and underscores".to_owned(),
        )),
    }
}

/// Sets what is said about TLS. What cannot be obeyed is an error.
fn tls(config: &mut Config, mode: Option<&str>, file: Option<String>) -> Result<Trust, String> {
    let (mode, verify) = match mode {
        Some("disable") => (SslMode::Disable, false),
        None | Some("prefer") => (SslMode::Prefer, false),
        Some("require") => (SslMode::Require, false),
        Some("verify-full") => (SslMode::Require, true),
        Some(_) => {
            return Err("sslmode is none of disable, prefer, require, verify-full".to_owned());
        }
    };
    // As in libpq, TLS is no matter of sockets in the file system, of which there are no others to be aware.
    let local = !config.get_hosts().is_empty()
        && config
            .get_hosts()
            .iter()
            .all(|host| !matches!(host, Host::Tcp(_)));
    config.ssl_mode(if local { SslMode::Disable } else { mode });
    match (verify, file) {
        (false, Some(_)) => Err("sslrootcert goes with sslmode=verify-full".to_owned()),
        (false, None) => Ok(Trust::Anybody),
        (true, None) => Ok(Trust::System),
        (true, Some(file)) if file == "system" => Ok(Trust::System),
        (true, Some(file)) => Ok(Trust::File(file)),
    }
}

/// Sees that a server that has vanished is missed in time.
fn set_defaults(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("outpost-queue");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
        config.keepalives_idle(Duration::from_secs(30));
    }
}

/// The text of a value in which bytes may stand as `%` and two digits.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wrong(url: &str) -> String {
        parse(url).unwrap_err().to_string()
    }

    #[test]
    fn what_an_address_says_is_obeyed() {
        let all = parse("postgres://me:secret@db.example/mail?schema=q2&connections=3&sslmode=verify-full&sslrootcert=/a%20b").unwrap();
        assert_eq!((all.schema.as_str(), all.connections), ("q2", 3));
        assert_eq!(all.trust, Trust::File("/a b".into()));
        assert_eq!(all.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(all.config.get_password(), Some(&b"secret"[..]));
        let plain = parse("postgresql://db.example/mail?application_name=x").unwrap();
        assert_eq!(plain.config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(plain.config.get_application_name(), Some("x"));
        assert_eq!(
            (plain.schema.as_str(), plain.trust),
            ("outpost", Trust::Anybody)
        );
        let local = parse("postgres:///mail?host=/run/postgresql&sslmode=require").unwrap();
        assert_eq!(local.config.get_ssl_mode(), SslMode::Disable);
        let off = parse("postgres://db.example/?sslmode=disable").unwrap();
        assert_eq!(off.config.get_ssl_mode(), SslMode::Disable);
        let require = parse("postgres://db.example/?sslmode=require").unwrap();
        assert_eq!(
            (require.config.get_ssl_mode(), require.trust),
            (SslMode::Require, Trust::Anybody)
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        for mode in ["allow", "verify-ca", "VERIFY-FULL", ""] {
            assert!(
                wrong(&format!("postgres://db/?sslmode={mode}")).contains("sslmode"),
                "{mode}"
            );
        }
        assert!(wrong("postgres://db/?sslmode=require&sslmode=disable").contains("twice"));
        assert!(wrong("postgres://db/?sslmode=require&sslrootcert=x").contains("verify-full"));
        assert!(wrong("postgres://db/?sslcert=x").contains("sslcert"));
        assert!(wrong("postgres://db/?schema=a%22b").contains("schema"));
        assert!(wrong("postgres://db/?schema=%g0").contains("schema"));
        assert!(wrong("postgres://db/?connections=0").contains("connections"));
    }

    #[test]
    fn a_password_is_in_no_error_and_in_no_debug_form() {
        let good = format!("{:?}", parse("postgres://me:s3cret@db/mail").unwrap());
        assert!(!good.contains("s3cret"), "{good}");
        for url in [
            "postgres://me:s3cret@db:port/mail",
            "postgres://me:s3cret@db/mail?unknown=1",
            "postgres://me:s3cret@db/mail?sslmode=s3cret",
            "postgres://me:s3cret@db/mail?password=s3cret&connections=s3cret",
            "postgres://me:x?s3cret@db/mail",
            "postgres://me:x?s3cret=1@db/mail",
            "postgres://me:x/s3cret@db/mail",
            "postgres://me:s3cret/x@db/mail",
            "postgres://me:s3cret#x@db:port/mail",
        ] {
            let said = format!("{:?}", parse(url).map_err(|error| error.to_string()));
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
}
