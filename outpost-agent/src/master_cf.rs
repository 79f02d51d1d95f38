//! The process limit of a service, which only master.cf knows (`src/master/master_ent.c`).

/// The seventh column of a service's line: `None` if there is no such service; `Some(None)` for `-`, the default.
pub(crate) fn process_limit(text: &str, service: &str) -> Option<Option<u32>> {
    let line = lines(text).find(|line| {
        let mut columns = line.split_whitespace();
        columns.next() == Some(service) && columns.next() == Some("unix")
    })?;
    let column = line.split_whitespace().nth(6)?;
    Some(column.parse().ok())
}

/// Logical lines: one that begins with white space goes on with the one before. Comments and empty lines may stand
/// between.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let mut all: Vec<String> = Vec::new();
    for line in text.lines() {
        let begin = line.trim_start();
        match all.last_mut() {
            _ if begin.is_empty() || begin.starts_with('#') => {}
            Some(last) if begin.len() < line.len() => {
                last.push(' ');
                last.push_str(begin);
            }
            _ => all.push(line.to_owned()),
        }
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_stands_in_the_line_of_the_service() {
        let text = "# service type private unpriv chroot wakeup maxproc command\n\
            smtp inet n - y - - smtpd\nsmtp unix - - n -\n# between\n\n  7 smtp\n    -o a=b\n\
            relay unix - - n - - smtp\nzero unix - - n - 0 smtp\nshort unix -\n";
        for (service, limit) in [
            ("smtp", Some(Some(7))),
            ("relay", Some(None)),
            ("zero", Some(Some(0))),
            ("short", None),
            ("other", None),
        ] {
            assert_eq!(process_limit(text, service), limit, "{service}");
        }
    }
}
