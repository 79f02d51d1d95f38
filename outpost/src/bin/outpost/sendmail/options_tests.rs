//! Tests of the options.
#![allow(clippy::unwrap_used)]

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace()
        .map(|word| match word {
            "''" => OsString::new(),
            word => word.replace('~', " ").into(),
        })
        .collect()
}

fn parsed(text: &str) -> Result<(Options, u8), String> {
    let cli = Cli::try_parse_from(arguments(words(text))).map_err(|error| error.to_string())?;
    let Command::Sendmail(args) = &cli.command else {
        return Err(format!("{:?}", cli.command));
    };
    let options = Options::of(args).map_err(|failure| failure.to_string())?;
    Ok((options, cli.verbosity.verbose))
}

fn options(text: &str) -> Options {
    parsed(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .0
}

fn recipients(options: &Options) -> Vec<&str> {
    options.recipients.iter().map(Address::as_str).collect()
}

#[test]
fn the_command_lines_of_well_known_programs_are_understood() {
    #[rustfmt::skip]
    let rows = [
        // Debian's cron, cronie, at, anacron.
        ("sendmail -FCronDaemon -i -B8BITMIME -oem root", None, false, Dots::Text, &["root"][..]),
        ("sendmail -FCronDaemon -i -odi -oem -oi -t -f root", Some("root"), true, Dots::Text, &[]),
        ("sendmail -i joe", None, false, Dots::Text, &["joe"]),
        ("sendmail -FAnacron -odi joe", None, false, Dots::End, &["joe"]),
        // mutt, git send-email, php, mailx, logwatch.
        ("outpost sendmail -oem -oi -f me@x -- a@y b@z", Some("me@x"), false, Dots::Text, &["a@y", "b@z"]),
        ("outpost sendmail -i a@y b@z", None, false, Dots::Text, &["a@y", "b@z"]),
        ("/usr/sbin/sendmail -t -i", None, true, Dots::Text, &[]),
        ("/usr/sbin/sendmail -ti -fwww@x", Some("www@x"), true, Dots::Text, &[]),
        ("sendmail -i -r me@x a@y", Some("me@x"), false, Dots::Text, &["a@y"]),
        ("sendmail -t", None, true, Dots::End, &[]),
        ("outpost-sendmail -f '' -i a@y", Some(""), false, Dots::Text, &["a@y"]),
        ("sendmail -f <> -om -bm -m -G -U -c -x -Lx -emm -pr -Ac -h25 -h 3 a@y", Some(""), false, Dots::End, &["a@y"]),
        ("sendmail -oQ/var/q -O DeliveryMode=b a@y,~Bob~<b@y>", None, false, Dots::End, &["a@y", "b@y"]),
        ("sendmail a@y -f b@x", Some("b@x"), false, Dots::End, &["a@y"]),
        ("sendmail -i -oi -f a@x -f b@x c@y", Some("b@x"), false, Dots::Text, &["c@y"]),
        ("sendmail -t -f -q", Some("-q"), true, Dots::End, &[]),
    ];
    for (line, sender, extract, dots, to) in rows {
        let options = options(line);
        assert_eq!(options.mode, Mode::Send, "{line}");
        assert_eq!(
            options.sender.as_ref().map(ReversePath::as_str),
            sender,
            "{line}"
        );
        assert_eq!((options.extract, options.dots), (extract, dots), "{line}");
        assert_eq!(recipients(&options), to, "{line}");
    }
}

#[test]
fn wishes_about_reports_and_tls_are_taken() {
    let options = options("sendmail -N failure,delay -R hdrs -V id=7 -O RequireTLS=yes -v -v a@x");
    assert!(options.notify.contains(Notify::FAILURE) && options.notify.contains(Notify::DELAY));
    assert!(!options.notify.contains(Notify::SUCCESS));
    assert_eq!(options.ret, Some(Ret::Hdrs));
    assert_eq!(options.envid.as_ref().map(EnvelopeId::as_str), Some("id=7"));
    assert!(options.require_tls);
    assert_eq!(parsed("sendmail -vv -t").unwrap().1, 2);
    assert_eq!(parsed("outpost -v sendmail -t").unwrap().1, 1);
}

#[test]
fn each_mode_has_its_letter_and_its_link() {
    for (line, mode) in [
        ("sendmail -bs", Mode::Smtp),
        ("sendmail -bp", Mode::Queue),
        ("mailq", Mode::Queue),
        ("/usr/bin/newaliases", Mode::Aliases),
        ("sendmail -I", Mode::Aliases),
        ("sendmail -q", Mode::Flush),
        ("sendmail -q30m", Mode::Flush),
        ("sendmail -bh", Mode::Nothing),
    ] {
        assert_eq!(options(line).mode, mode, "{line}");
    }
}

#[test]
fn what_is_not_known_or_cannot_be_had_is_refused() {
    for (line, said) in [
        ("sendmail -t -Z", "unexpected argument '-Z'"),
        (
            "sendmail --nonsense a@x",
            "unexpected argument '--nonsense'",
        ),
        ("sendmail", "must be specified on the command line"),
        ("sendmail -i", "must be specified on the command line"),
        ("sendmail -bs a@x", "for sending only"),
        ("sendmail -bz", "-bz is not supported"),
        ("sendmail -bd", "this is no mail server"),
        ("sendmail -n a@x", "-n is not supported"),
        ("sendmail -C/etc/x a@x", "--file names"),
        ("sendmail -XV a@x", "-X is not supported"),
        ("sendmail -B9BIT a@x", "-B needs"),
        ("sendmail -Nsometimes a@x", "-N 'sometimes'"),
        ("sendmail -N never,success a@x", "-N 'never,success'"),
        ("sendmail -Rsome a@x", "-R 'some'"),
        ("sendmail -V ~\u{7}~ a@x", "-V: "),
        ("sendmail -f a@x,b@y c@z", "expected one address"),
        (
            "sendmail a@b@c",
            "recipient 'a@b@c': there is more than one @",
        ),
        ("sendmail ''", "there is no address in it"),
        ("sendmail -O REQUIRETLS=maybe a@x", "needs yes or no"),
    ] {
        let error = parsed(line).map(|(options, _)| options).unwrap_err();
        assert!(error.contains(said), "{line}: {error}");
    }
    assert!(parsed(&format!("sendmail -V {} a@x", "x".repeat(101))).is_err());
}

#[test]
fn other_subcommands_keep_their_arguments() {
    for line in ["outpost deliver -q sendmail -h", "outpost -v", "other x -q"] {
        assert_eq!(arguments(words(line)), words(line));
    }
}
