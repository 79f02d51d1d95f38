//! Reports that are written as verdicts fall.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{RUNTIMES, Sink, folder, request, request_file, run};
use serde_json::{Value, json};

#[test]
fn jsonl_has_a_line_for_each_verdict_and_one_for_each_request() {
    let sink = Sink::start(&["--fault", "RCPT c@=550 5.1.1 no such user"]);
    let folder = folder();
    let mut first = request(&sink.nexthop(), "b@x");
    first["id"] = json!("4XyZ");
    first["recipients"] = json!([{ "address": "b@x" }, { "address": "c@x", "original": "o@x" }]);
    let mut bad = first.clone();
    bad["colour"] = json!("red");
    let last = request(&sink.nexthop(), "d@x");
    let path = request_file(&folder, json!([first, bad, last]));
    for runtime in RUNTIMES {
        let args = ["deliver", "--runtime", runtime, "--request", &path];
        let whole = run(&[&args[..], &["--report", "json"]].concat()).exits(65);
        let run = run(&[&args[..], &["--report", "jsonl"]].concat()).exits(65);
        let lines = run.stdout.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
        let heads: Vec<_> = lines
            .iter()
            .map(|line| {
                json!([
                    line["event"],
                    line["request"],
                    line["id"],
                    line["recipient"]
                ])
            })
            .collect();
        let expected = [
            // The refusal comes first.
            json!(["verdict", 1, "4XyZ", 2]),
            json!(["verdict", 1, "4XyZ", 1]),
            json!(["request", 1, "4XyZ", null]),
            json!(["request", 2, null, null]),
            json!(["verdict", 3, "R3", 1]),
            json!(["request", 3, "R3", null]),
        ];
        assert_eq!(heads, expected, "{runtime}");
        let counts = |line: &Value| json!([line["sent"], line["deferred"], line["bounced"]]);
        assert_eq!(counts(&lines[2]), json!([1, 0, 1]));
        assert!(lines[3]["error"].as_str().unwrap().contains("colour"));
        // A verdict has the fields that it has in the whole report.
        let mut verdict = lines[0].clone();
        let mut same = whole.report()["requests"][0]["recipients"][1].clone();
        for key in ["event", "request", "id", "recipient"] {
            verdict.as_object_mut().unwrap().remove(key);
        }
        // Those of two deliveries.
        for times in [&mut verdict["times"], &mut same["times"]] {
            assert!(times.take()["transmission"].is_number());
        }
        assert_eq!(verdict, same.take(), "{runtime}");
        assert_eq!(verdict["original"], "o@x");
    }
}

#[test]
fn the_whole_report_says_of_each_recipient_whether_there_was_tls() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    let report = run(&["deliver", "--request", &path, "--report", "json"]).exits(0);
    let recipient = &report.report()["requests"][0]["recipients"][0];
    assert_eq!(recipient.get("tls"), Some(&Value::Null), "{recipient}");
}

#[test]
fn text_has_a_heading_for_each_request_of_several() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let bad = json!({ "colour": "red" });
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x"), bad]));
    let run = run(&["deliver", "--request", &path]).exits(65);
    let blocks: Vec<&str> = run.stdout.split("\n\n").collect();
    assert_eq!(blocks[0], "Request 1");
    assert!(blocks[1].starts_with("<b@x>: sent (2.0.0, plaintext)\n"));
    assert_eq!(blocks[2], "Request 2");
    assert!(blocks[3].starts_with("not delivered: "), "{run:#?}");
    let sum = "1 sent, 0 deferred, 0 bounced, 1 request not understood\n";
    assert_eq!(blocks[4], sum);
}
