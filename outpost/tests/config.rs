//! `outpost config`, which follows postconf(1).

#![allow(clippy::unwrap_used)]

mod common;

use common::{folder, run, write};

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
    let again = common::run(&["config", "--config", folder_itself, "-n"]).exits(0);
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
    let defaults = common::run(&[&args[..3], &["-d", "smtp_helo_timeout"]].concat()).exits(0);
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
