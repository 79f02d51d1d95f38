//! `outpost config`, which follows postconf(1).
#![allow(clippy::unwrap_used)]

use crate::common::{MESSAGE, folder, run, write};

#[test]
fn the_settings_of_a_file_are_listed_as_postconf_does() {
    let folder = folder();
    let text = "# a comment\nsmtp_helo_timeout = 1m\nrelayhost = [$mydomain]\n :587\n";
    let path = write(&folder, "main.cf", text);
    let run = run(&["config", "--config", &path, "-n"]).exits(0);
    let lines: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| !line.starts_with("config_directory"))
        .collect();
    assert_eq!(
        lines,
        ["relayhost = [$mydomain] :587", "smtp_helo_timeout = 1m"]
    );
    let folder_itself = folder.path().to_str().unwrap();
    let again = crate::common::run(&["config", "--config", folder_itself, "-n"]).exits(0);
    assert_eq!(
        again.stdout, run.stdout,
        "the folder stands for its main.cf"
    );
}

#[test]
fn a_named_parameter_is_shown_as_set_or_by_default() {
    let args = [
        "config",
        "-o",
        "smtp_helo_timeout=7s",
        "smtp_helo_timeout",
        "smtp_mail_timeout",
    ];
    let run = run(&args).exits(0);
    assert_eq!(
        run.stdout,
        "smtp_helo_timeout = 7s\nsmtp_mail_timeout = 300s\n"
    );
    let defaults =
        crate::common::run(&[&args[..3], &["-d", "smtp_helo_timeout"]].concat()).exits(0);
    assert_eq!(defaults.stdout, "smtp_helo_timeout = 300s\n");
}

#[test]
fn all_parameters_are_listed_in_order() {
    let run = run(&["config", "-d"]).exits(0);
    let names: Vec<&str> = run
        .stdout
        .lines()
        .map(|line| line.split(" =").next().unwrap())
        .collect();
    assert!(
        names.len() > 200 && names.contains(&"lmtp_tcp_port"),
        "{}",
        names.len()
    );
    assert!(names.is_sorted());
}

#[test]
fn an_unknown_name_is_a_warning_and_the_others_are_shown() {
    let run = run(&["config", "smtp_hello_timeout", "smtp_helo_timeout"]).exits(0);
    assert_eq!(run.stdout, "smtp_helo_timeout = 300s\n");
    run.complains("outpost: warning: smtp_hello_timeout: unknown parameter")
        .complains("did you mean smtp_helo_timeout?");
}

#[test]
fn what_is_odd_or_wrong_is_told() {
    let folder = folder();
    let path = write(
        &folder,
        "main.cf",
        "smtp_helo_timeuot = 1m\nsmtp_mail_timeout = soon\n",
    );
    run(&["config", "--config", &path, "-n"])
        .exits(78)
        .complains("main.cf: line 1: unused parameter: smtp_helo_timeuot=1m")
        .complains("main.cf: line 2: smtp_mail_timeout: ");
    run(&["config", "--config", "/no/such/main.cf"])
        .exits(78)
        .complains("/no/such/main.cf");
}

#[test]
fn an_old_default_that_keeps_smtputf8_away_is_told() {
    let (folder, message) = (folder(), MESSAGE);
    let message = write(&folder, "m.eml", message);
    let told = |main_cf: &str, to: &str| {
        let path = write(&folder, "main.cf", main_cf);
        let to = format!("{to}@[127.0.0.1]");
        let args = [
            "deliver",
            "--config",
            &path,
            "-o",
            "smtp_tcp_port=1",
            "--from",
            "a@example.org",
            "--to",
            &to,
            &message,
        ];
        let run = run(&args).exits(75);
        let line = format!(
            "outpost: warning: {path}: smtputf8_enable is no, the default of compatibility_level = 0: \
             the message goes out without SMTPUTF8"
        );
        run.stderr.matches(&line).count()
    };
    assert_eq!(told("", "j\u{f6}rg"), 1);
    assert_eq!(told("", "joerg"), 0);
    assert_eq!(told("compatibility_level = 3.6\n", "j\u{f6}rg"), 0);
    assert_eq!(told("smtputf8_enable = no\n", "j\u{f6}rg"), 0);
}
