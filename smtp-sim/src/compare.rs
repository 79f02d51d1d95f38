//! Compares what a run showed with what a scenario expects, and explains the
//! difference as a unified diff of two readable pictures. It judges only; it
//! neither runs anything nor knows why something differs.

use base64::Engine;
use serde_json::Value;

use crate::diff::unified;
use crate::scenario::{CONFIG_DIRECTORY, Picture, Scenario};

/// What stands for a value that is not compared.
const IGNORED: &str = "<ignored>";

/// Compares an observation with the expectation of a scenario. `Ok`: they are
/// equal. `Err`: a readable difference, ended by a line feed.
pub fn compare(scenario: &Scenario, observed: &Picture) -> Result<(), String> {
    let mut want = scenario.expect.clone();
    let mut have = observed.clone();
    forget_unexpected_reports(&want, &mut have);
    if scenario.unordered_sessions {
        for picture in [&mut want, &mut have] {
            picture
                .sessions
                .sort_by(|a, b| (&a.server, &a.transcript).cmp(&(&b.server, &b.transcript)));
        }
    }
    let mut want = as_value(&want);
    let mut have = as_value(&have);
    for path in &scenario.ignore {
        mask(&mut want, path);
        mask(&mut have, path);
    }
    if want == have {
        return Ok(());
    }
    let difference = unified(&render(&want), &render(&have));
    if difference.is_empty() {
        // Such as a different number of recipients that all look alike.
        return Err(format!("expected {want}\nobserved {have}\n"));
    }
    Err(difference)
}

/// Puts [`CONFIG_DIRECTORY`] in the place of the directory of `main.cf`.
pub fn normalise(picture: &mut Picture, dir: &str) {
    let replace = |text: &mut String| {
        if text.contains(dir) {
            *text = text.replace(dir, CONFIG_DIRECTORY);
        }
    };
    for session in &mut picture.sessions {
        replace(&mut session.server);
        session
            .transcript
            .iter_mut()
            .for_each(|(_, text)| replace(text));
        session
            .pipeline_groups
            .iter_mut()
            .flatten()
            .for_each(replace);
    }
    for result in picture.recipients.iter_mut().flatten() {
        for text in [&mut result.address, &mut result.relay, &mut result.text] {
            replace(text);
        }
    }
}

/// An expectation without a report does not look at reports.
fn forget_unexpected_reports(want: &Picture, have: &mut Picture) {
    for (request, results) in have.recipients.iter_mut().enumerate() {
        for (index, result) in results.iter_mut().enumerate() {
            let expected = want.recipients.get(request).and_then(|r| r.get(index));
            if expected.is_none_or(|expected| expected.report.is_none()) {
                result.report = None;
            }
        }
    }
}

fn as_value(picture: &Picture) -> Value {
    serde_json::to_value(picture).unwrap_or_default()
}

/// Replaces what a path names by a fixed text. A path is a chain of names and
/// `[numbers]`; `[*]` and `*` stand for every element. What is not there is left.
pub fn mask(value: &mut Value, path: &str) {
    let path = path.replace(['[', ']'], ".");
    let steps: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
    mask_steps(value, &steps);
}

fn mask_steps(value: &mut Value, steps: &[&str]) {
    let Some((first, rest)) = steps.split_first() else {
        *value = Value::String(IGNORED.to_owned());
        return;
    };
    match value {
        Value::Array(items) if *first == "*" => {
            items.iter_mut().for_each(|item| mask_steps(item, rest));
        }
        Value::Array(items) => {
            let index: Option<usize> = first.parse().ok();
            if let Some(item) = index.and_then(|index| items.get_mut(index)) {
                mask_steps(item, rest);
            }
        }
        Value::Object(fields) if *first == "*" => {
            fields
                .values_mut()
                .for_each(|field| mask_steps(field, rest));
        }
        Value::Object(fields) => {
            if let Some(field) = fields.get_mut(*first) {
                mask_steps(field, rest);
            }
        }
        _ => {}
    }
}

/// A picture as lines for people.
fn render(picture: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, session) in items(picture, "sessions").iter().enumerate() {
        render_session(index, session, &mut lines);
    }
    for (index, request) in items(picture, "recipients").iter().enumerate() {
        lines.push(format!("request {index}"));
        for result in request.as_array().unwrap_or(&Vec::new()) {
            render_result(result, &mut lines);
        }
    }
    lines
}

fn render_session(index: usize, session: &Value, lines: &mut Vec<String>) {
    if !session.is_object() {
        lines.push(format!("session {index}: {}", plain(session)));
        return;
    }
    lines.push(format!("session {index} at {}", plain(&session["server"])));
    for entry in items(session, "transcript") {
        match entry.as_array().map(Vec::as_slice) {
            Some([kind, text]) => lines.push(format!("    {}: {}", plain(kind), plain(text))),
            _ => lines.push(format!("    {}", plain(entry))),
        }
    }
    let groups: Vec<String> = items(session, "pipeline_groups")
        .iter()
        .map(|group| match group {
            Value::Array(verbs) => verbs.iter().map(plain).collect::<Vec<_>>().join(" "),
            other => plain(other),
        })
        .collect();
    lines.push(format!("    groups: {}", groups.join(" | ")));
    for (number, data) in items(session, "data_base64").iter().enumerate() {
        lines.push(format!("    data {number}:"));
        let text = plain(data);
        match base64::engine::general_purpose::STANDARD.decode(&text) {
            Ok(bytes) => lines.extend(
                bytes
                    .split(|byte| *byte == b'\n')
                    .map(|line| format!("        {}", line.escape_ascii())),
            ),
            Err(_) => lines.push(format!("        {text}")),
        }
    }
}

fn render_result(result: &Value, lines: &mut Vec<String>) {
    if !result.is_object() {
        lines.push(format!("    {}", plain(result)));
        return;
    }
    let field = |name: &str| plain(&result[name]);
    let report = match result.get("report") {
        Some(report) => format!(" report={}", plain(report)),
        None => String::new(),
    };
    lines.push(format!(
        "    <{}> {} {} relay={}{report}",
        field("address"),
        field("status"),
        field("dsn"),
        field("relay"),
    ));
    lines.push(format!("        ({})", field("text")));
}

/// The elements of a list in an object; a masked list is one element.
fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.get(name) {
        Some(Value::Array(items)) => items,
        Some(other) => std::slice::from_ref(other),
        None => &[],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use crate::scenario::{RecipientResult, SessionRecord};

    fn scenario() -> Scenario {
        let session = |server: &str| SessionRecord {
            server: server.to_owned(),
            transcript: vec![("S".into(), "220 x".into()), ("C".into(), "QUIT".into())],
            pipeline_groups: vec![vec!["QUIT".into()]],
            data_base64: vec!["YQ0KLi4NCg==".into()],
        };
        let result = RecipientResult {
            address: "a@b".into(),
            ..RecipientResult::default()
        };
        Scenario {
            name: "x".into(),
            about: String::new(),
            protocol: Default::default(),
            params: Default::default(),
            files: Default::default(),
            dns: Default::default(),
            servers: Default::default(),
            requests: Vec::new(),
            expect: Picture {
                sessions: vec![session("a"), session("b")],
                recipients: vec![vec![result.clone(), result]],
            },
            unordered_sessions: false,
            ignore: Vec::new(),
        }
    }

    #[test]
    fn an_equal_picture_is_equal() {
        let scenario = scenario();
        assert_eq!(compare(&scenario, &scenario.expect), Ok(()));
    }

    #[test]
    fn every_changed_part_is_detected_and_shown() {
        type Change = fn(&mut Picture);
        let changes: [(&str, Change); 7] = [
            ("+    C: RSET", |p| {
                p.sessions[0].transcript[1].1 = "RSET".into();
            }),
            ("+    groups: QUIT | QUIT", |p| {
                p.sessions[1].pipeline_groups.push(vec!["QUIT".into()]);
            }),
            ("+        b", |p| {
                p.sessions[0].data_base64[0] = "Yg==".into();
            }),
            ("-session 1 at b", |p| drop(p.sessions.pop())),
            ("+session 0 at b", |p| p.sessions.swap(0, 1)),
            ("+    <a@b> sent", |p| {
                p.recipients[0][1].status = "sent".into();
            }),
            ("-    <a@b> ", |p| drop(p.recipients[0].pop())),
        ];
        for (shown, change) in changes {
            let scenario = scenario();
            let mut observed = scenario.expect.clone();
            change(&mut observed);
            let difference = compare(&scenario, &observed).unwrap_err();
            assert!(difference.contains(shown), "{shown}\n{difference}");
        }
    }

    #[test]
    fn sessions_may_be_a_set() {
        let mut scenario = scenario();
        scenario.unordered_sessions = true;
        let mut observed = scenario.expect.clone();
        observed.sessions.swap(0, 1);
        assert_eq!(compare(&scenario, &observed), Ok(()));
        observed.sessions[0].server = "c".into();
        assert!(compare(&scenario, &observed).is_err());
    }

    #[test]
    fn a_report_counts_only_where_one_is_expected() {
        let mut scenario = scenario();
        let mut observed = scenario.expect.clone();
        observed.recipients[0][0].report = Some("relayed".into());
        assert_eq!(compare(&scenario, &observed), Ok(()));
        scenario.expect.recipients[0][0].report = Some("delivered".into());
        assert!(compare(&scenario, &observed).is_err());
    }

    #[test]
    fn what_is_ignored_does_not_count_and_the_rest_does() {
        let mut scenario = scenario();
        scenario.ignore = vec![
            "sessions[*].pipeline_groups".into(),
            "recipients[0][1].text".into(),
        ];
        let mut observed = scenario.expect.clone();
        observed.sessions[1].pipeline_groups.clear();
        observed.recipients[0][1].text = "other".into();
        assert_eq!(compare(&scenario, &observed), Ok(()));
        observed.recipients[0][0].text = "other".into();
        let difference = compare(&scenario, &observed).unwrap_err();
        assert!(difference.contains("+        (other)"), "{difference}");
    }

    #[test]
    fn the_directory_is_written_as_its_name() {
        let mut picture = scenario().expect;
        picture.sessions[0].server = "unix:/tmp/x/a.sock".into();
        picture.recipients[0][0].text = "connect to /tmp/x/a.sock".into();
        normalise(&mut picture, "/tmp/x");
        assert_eq!(
            picture.sessions[0].server,
            "unix:${config_directory}/a.sock"
        );
        assert_eq!(
            picture.recipients[0][0].text,
            "connect to ${config_directory}/a.sock"
        );
    }
}
