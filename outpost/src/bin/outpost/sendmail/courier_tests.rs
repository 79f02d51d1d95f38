//! Tests of recipients and of exit statuses.
#![allow(clippy::unwrap_used)]

use smtp_proto::status::EnhancedStatus;

use super::*;

/// Accounts without a file of their own.
fn accounts(text: &str) -> Accounts {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    Accounts::read(file.path()).unwrap()
}

fn expanded(file: &str, to: &[&str]) -> Result<Vec<String>, String> {
    let accounts = accounts(file);
    let account = accounts.accounts.get("a").unwrap();
    let to = to
        .iter()
        .map(|to| Recipient::new(Address::parse(to).unwrap()));
    let found = with_domains(to.collect(), &accounts, account).map_err(|failure| {
        assert_eq!(failure.exit, Exit::NoUser);
        failure.to_string()
    })?;
    Ok(found.iter().map(|one| one.address.to_string()).collect())
}

const BARE: &str = "[accounts.a]\nhost = \"h\"\n";
const DOMAIN: &str = "[accounts.a]\nhost = \"h\"\ndomain = \"home.example\"\n";
const ALIASES: &str = "[aliases]\nroot = [\"ann\", \"b@y\"]\nann = \"Ann <a@x>\"\nme = \"me\"\n";
const REST: &str = "\"*\" = \"rest@x\"\n";

#[test]
fn names_without_a_domain_get_one() {
    let bare = format!("{BARE}{ALIASES}");
    let domain = format!("{DOMAIN}{ALIASES}");
    for (file, to, found) in [
        (BARE, &["a@x", "b@y", "a@X"][..], &["a@x", "b@y"][..]),
        (&bare, &["root", "a@x"], &["a@x", "b@y"]),
        (&bare, &["ROOT"], &["a@x", "b@y"]),
        (
            &domain,
            &["root", "joe"],
            &["a@x", "b@y", "joe@home.example"],
        ),
        (
            &format!("{bare}{REST}"),
            &["joe", "ann", "bob"],
            &["rest@x", "a@x"],
        ),
        (&format!("{domain}{REST}"), &["joe"], &["joe@home.example"]),
    ] {
        assert_eq!(expanded(file, to).unwrap(), found, "{file} {to:?}");
    }
}

#[test]
fn a_name_that_nobody_knows_is_no_recipient() {
    let error = expanded(BARE, &["a@x", "root"]).unwrap_err();
    assert!(
        error.starts_with("recipient 'root': it has no domain: "),
        "{error}"
    );
    let error = expanded(&format!("{BARE}{ALIASES}"), &["me"]).unwrap_err();
    assert!(error.contains("go round in circles"), "{error}");
}

#[test]
fn the_exit_status_tells_what_the_caller_can_do() {
    let of = |codes: &[(u8, u16, u16)]| {
        let verdict = |(class, subject, detail): &(u8, u16, u16)| {
            let status = match class {
                2 => Status::Sent,
                4 => Status::Deferred,
                _ => Status::Bounced,
            };
            let code = EnhancedStatus::new(*class, *subject, *detail);
            let recipient = Recipient::new(Address::parse("a@x").unwrap());
            (recipient, Outcome::new(status, code, "text"))
        };
        exit_of(&Report::new(codes.iter().map(verdict).collect()))
    };
    for (codes, exit) in [
        (&[(2, 0, 0), (2, 1, 5)][..], Exit::Ok),
        (&[(2, 0, 0), (5, 1, 1)], Exit::NoUser),
        (&[(5, 1, 1), (5, 1, 10)], Exit::NoUser),
        (&[(5, 1, 1), (5, 7, 1)], Exit::Bounced),
        (&[(5, 7, 1)], Exit::Bounced),
        (&[(5, 3, 4), (5, 6, 0), (5, 2, 3)], Exit::Data),
        (&[(5, 3, 4), (5, 1, 1)], Exit::Bounced),
        (&[(5, 2, 4)], Exit::Bounced),
        (&[(5, 1, 1), (4, 7, 1), (2, 0, 0)], Exit::Deferred),
    ] {
        assert_eq!(of(codes), exit, "{codes:?}");
    }
}
