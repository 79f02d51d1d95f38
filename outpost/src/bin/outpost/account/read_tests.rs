//! Tests of the accounts file.
#![allow(clippy::unwrap_used, clippy::panic)]

use smtp_proto::Secret;

use super::*;
use crate::account::MinTls;

fn parse(text: &str) -> Result<Accounts, String> {
    let path = Path::new("/etc/x/config.toml");
    Accounts::parse(text, path, Exposure::Private).map_err(|fault| fault.to_string())
}

fn server(text: &str) -> Server {
    let mut accounts = parse(text).unwrap_or_else(|error| panic!("{error}"));
    match accounts.accounts.remove("a").unwrap().place {
        Place::Server(server) => server,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_account_has_everything_that_is_written() {
    let text = r##"
        default = "a"
        [accounts.a]
        host = "smtp.example.com"
        port = 2525
        tls = "implicit"
        min_tls = "1.3"
        ca_file = "ca.pem"
        user = "me"
        password_command = ["pass", "show", "mail"]
        from = "Me <me@example.com>"
        from_patterns = ["*@example.com"]
        full_name = "Me, Myself"
        domain = "example.com"
        local_hostname = "box.example.org"
        [accounts.b]
        direct = true
        dns = ["192.0.2.53", "[::1]:5353"]
        [aliases]
        Root = "me@example.com"
        "*" = ["a@x", "root"]
    "##;
    let accounts = parse(text).unwrap();
    assert_eq!(accounts.default.as_deref(), Some("a"));
    let account = accounts.accounts.get("a").unwrap();
    assert_eq!(account.from.as_ref().unwrap().as_str(), "me@example.com");
    assert_eq!(account.patterns, [Pattern::new("*@example.com")]);
    assert_eq!(account.full_name.as_deref(), Some("Me, Myself"));
    assert_eq!(account.domain.as_deref(), Some("example.com"));
    assert_eq!(account.host_name().as_str(), "box.example.org");
    let Place::Server(server) = &account.place else {
        panic!("{account:?}")
    };
    assert_eq!(
        (server.host.as_str(), server.port),
        ("smtp.example.com", 2525)
    );
    let trust = Trust {
        ca_file: Some("/etc/x/ca.pem".into()),
        min: MinTls::V1_3,
    };
    assert_eq!(server.tls, Tls::Implicit(trust));
    let login = server.login.as_ref().unwrap();
    assert_eq!(login.user, "me");
    assert!(matches!(&login.password, PasswordSource::Command(words) if words.len() == 3));
    let Place::Direct { dns } = &accounts.accounts.get("b").unwrap().place else {
        panic!()
    };
    assert_eq!(
        dns,
        &[
            "192.0.2.53:53".parse().unwrap(),
            "[::1]:5353".parse().unwrap()
        ]
    );
    assert_eq!(accounts.aliases.get("root").unwrap(), &["me@example.com"]);
    assert_eq!(accounts.aliases.get("*").unwrap().len(), 2);
}

#[test]
fn tls_is_on_unless_the_file_says_twice_that_it_is_not() {
    let with = |more: &str| server(&format!("[accounts.a]\nhost = \"h\"\n{more}"));
    let verified = Trust::default();
    for (more, tls, port) in [
        ("", Tls::Starttls(verified.clone()), 587),
        ("tls = \"starttls\"", Tls::Starttls(verified.clone()), 587),
        ("tls = \"implicit\"", Tls::Implicit(verified), 465),
        ("tls = \"none\"\ninsecure = true", Tls::Plaintext, 25),
    ] {
        let server = with(more);
        assert_eq!((server.tls, server.port), (tls, port), "{more}");
    }
}

#[test]
fn a_password_in_an_open_file_is_refused_and_never_shown() {
    let text = "[accounts.a]\nhost = \"h\"\nuser = \"me\"\npassword = \"sword:fish\"\n";
    let password = server(text).login.unwrap().password;
    assert!(matches!(&password, PasswordSource::Here(secret) if secret.expose() == b"sword:fish"));
    assert!(!format!("{password:?}{:?}", Secret::new("sword:fish")).contains("fish"));
    let open = Exposure::Open("it is open".to_owned());
    let fault = Accounts::parse(text, Path::new("c.toml"), open)
        .unwrap_err()
        .to_string();
    assert_eq!(
        fault,
        "c.toml:4: password: it is open: use chmod 600, or password_command"
    );
}

/// Each text is refused with its fault: the line and the beginning of the words, and no password.
fn are_refused<T: AsRef<str>>(rows: impl IntoIterator<Item = (T, &'static str)>) {
    for (text, fault) in rows {
        let text = text.as_ref();
        let found = parse(text).unwrap_err();
        let expected = format!("/etc/x/config.toml:{fault}");
        assert!(
            found.starts_with(&expected),
            "{text:?}: {found:?}, not {expected:?}"
        );
        assert!(!found.contains("4711") && !found.contains('\n'), "{found}");
    }
}

/// As `are_refused`, of lines that follow the two first ones of an account.
fn are_refused_of_an_account<const N: usize>(rows: [(&'static str, &'static str); N]) {
    are_refused(rows.map(|(more, fault)| (format!("[accounts.a]\nhost = \"h\"\n{more}"), fault)));
}

#[test]
fn unknown_names_and_places_that_are_none_are_told() {
    are_refused([
        ("defautl = \"a\"\n", "1: unknown field `defautl`"),
        ("\n[accounts.a]\nhots = \"h\"\n", "3: unknown field `hots`"),
        (
            "default = \"b\"\n[accounts.a]\nhost = \"h\"\n",
            "1: default: there is no account 'b'",
        ),
        (
            "[accounts.a]\nhost = \"h:25\"\n",
            "2: host: expected a name or an address",
        ),
        (
            "[accounts.a]\nhost = \"[h]\"\n",
            "2: host: expected a name or an address",
        ),
        (
            "[accounts.a]\nhost = \"h\"\nport = 0\n",
            "3: port: there is no port 0",
        ),
        (
            "[accounts.a]\nhost = \"h\"\nport = 65536\n",
            "3: invalid value",
        ),
    ]);
}

#[test]
fn wishes_about_tls_that_contradict_each_other_are_told() {
    are_refused_of_an_account([
        ("tls = \"maybe\"\n", "3: unknown variant `maybe`"),
        ("tls = \"none\"\n", "3: tls = \"none\" sends mail"),
        (
            "tls = \"none\"\ninsecure = false\n",
            "3: tls = \"none\" sends mail",
        ),
        ("insecure = true\n", "3: insecure = true has no meaning"),
        (
            "insecure = true\ntls = \"none\"\nca_file = \"x\"\n",
            "5: ca_file has no meaning",
        ),
        ("min_tls = \"1.1\"\n", "3: unknown variant `1.1`"),
    ]);
}

#[test]
fn a_login_without_its_other_half_is_told() {
    are_refused_of_an_account([
        ("user = \"me\"\n", "3: user: there is no password"),
        (
            "user = \"m:e\"\nkeyring = true\n",
            "3: user: it is empty, or has a colon",
        ),
        ("keyring = true\n", "3: keyring: the account has no user"),
        (
            "user = \"me\"\nkeyring = false\n",
            "3: user: there is no password",
        ),
        (
            "user = \"me\"\nkeyring = true\npassword_file = \"x\"\n",
            "4: keyring: the account has another",
        ),
        (
            "user = \"me\"\npassword_command = []\n",
            "4: password_command: it is empty",
        ),
        (
            "user = \"me\"\npassword_command = \"pass show x\"\n",
            "4: invalid type",
        ),
    ]);
}

#[test]
fn senders_and_names_that_are_none_are_told() {
    are_refused_of_an_account([
        ("from = \"Me\"\n", "3: from: it has no domain"),
        ("from = \"a@b@c\"\n", "3: from: there is more than one @"),
        (
            "from_patterns = [\"a@b\", \" \"]\n",
            "3: a pattern is empty",
        ),
        ("domain = \"a b\"\n", "3: domain: "),
        ("local_hostname = \"a b\"\n", "3: local_hostname: "),
        ("full_name = \"a\\nb\"\n", "3: full_name: "),
    ]);
}

#[test]
fn fields_of_another_kind_of_account_are_told() {
    are_refused([
        (
            "[accounts.a]\nfrom = \"a@x\"\n",
            "1: account 'a' has neither host nor direct",
        ),
        (
            "[accounts.a]\ndirect = true\nhost = \"h\"\n",
            "3: host is for a server",
        ),
        (
            "[accounts.a]\ndirect = true\nuser = \"me\"\n",
            "3: user is for a server",
        ),
        (
            "[accounts.a]\ndirect = true\ntls = \"none\"\n",
            "3: tls is for a server",
        ),
        (
            "[accounts.a]\ndirect = true\ndns = [\"ns.example\"]\n",
            "3: dns: 'ns.example' is no IP",
        ),
        (
            "[accounts.a]\nqueue = \"default\"\nhost = \"x\"\n",
            "3: host is for a server, and the queue",
        ),
        (
            "[accounts.a]\nqueue = \"default\"\ndirect = true\n",
            "3: direct is not for a queue",
        ),
        ("[accounts.a]\nqueue = \"\"\n", "2: queue: it is empty"),
    ]);
    are_refused_of_an_account([("dns = []\n", "3: dns is for direct = true only")]);
}

#[test]
fn aliases_that_lead_nowhere_are_told() {
    are_refused([
        ("[aliases]\nroot = 7\n", "2: expected an address"),
        (
            "[aliases]\nroot = []\n",
            "2: alias 'root': there is no address",
        ),
        (
            "[aliases]\nroot = \"a@b@c\"\n",
            "2: alias 'root': 'a@b@c': there is more than one @",
        ),
        (
            "[aliases]\n\"a@b\" = \"c@d\"\n",
            "2: alias 'a@b': an alias is for a name",
        ),
        (
            "[aliases]\nroot = \"c@d\"\nRoot = \"c@d\"\n",
            "2: alias 'root': it is there twice",
        ),
    ]);
}

#[test]
fn a_password_that_is_no_text_is_told_without_it() {
    are_refused_of_an_account([
        ("password = 4711\n", "3: a password is a text in quotes"),
        ("password = true\n", "3: a password is a text in quotes"),
        ("password = [\"4711\"]\n", "3: "),
        ("password = \"4711\n", "3: "),
        ("password = 4711x\n", "3: "),
        ("password = 4711 \"x\"\n", "3: "),
    ]);
}

#[test]
fn a_password_of_a_queue_is_for_files_that_nobody_else_reads() {
    let path = Path::new("/etc/x/config.toml");
    let text = |queue: &str| format!("[accounts.a]\nqueue = \"{queue}\"\n");
    let open = |queue: &str| {
        let exposure = Exposure::Open("others may read it".into());
        Accounts::parse(&text(queue), path, exposure).map_err(|fault| fault.to_string())
    };
    assert!(open("default").is_ok() && open("postgres://me@db/mail").is_ok());
    for queue in ["postgres://me:4711@db/m", "postgres://db/m?password=4711"] {
        let fault = open(queue).unwrap_err();
        assert!(fault.contains("2: queue: there is a password"), "{fault}");
        assert!(!fault.contains("4711"), "{fault}");
        let accounts = parse(&text(queue)).unwrap();
        assert!(!format!("{accounts:?}").contains("4711"));
    }
}

#[test]
fn the_example_of_the_help_is_understood() {
    let help = crate::cli::ACCOUNTS_HELP;
    let (_, example) = help.split_once("/etc/outpost/config.toml:\n").unwrap();
    let (example, _) = example.split_once("\nThe password").unwrap();
    let accounts = parse(example).unwrap();
    assert_eq!(accounts.default.as_deref(), Some("work"));
    assert_eq!((accounts.accounts.len(), accounts.aliases.len()), (3, 2));
}
