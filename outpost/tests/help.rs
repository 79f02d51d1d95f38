//! Tests of the help texts.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

mod common;

use common::run;

#[test]
fn help_fits_a_screen_of_80_columns() {
    for command in [
        &[][..],
        &["deliver"],
        &["config"],
        &["probe"],
        &["sink"],
        &["demo"],
    ] {
        for flag in ["-h", "--help"] {
            let help = run(&[command, &[flag]].concat()).exits(0).stdout;
            assert!(help.lines().count() > 10, "{help}");
            for line in help.lines() {
                let width = line.chars().count();
                assert!(width <= 80, "{command:?} {flag}: {width}: {line:?}");
            }
        }
    }
    // Also where the terminal, or who claims to be one, is wider.
    for (name, columns) in [("COLUMNS", "200"), ("COLUMNS", "20")] {
        let output = common::outpost()
            .args(["deliver", "--help"])
            .env(name, columns)
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{columns}: {help}"
        );
    }
}
