//! The dialogue of the scripted server: lines, groups, and the default answer to
//! each command.

use smtp_proto::Time;

use super::{After, Group, IDLE, ServerConnection, ServerStep, State, show, verb};
use crate::scenario::Rule;

impl ServerConnection {
    /// Sends the greeting.
    pub(super) fn greet(&mut self, now: Time) -> Option<ServerStep> {
        if self.config.script.wrapper_tls && !self.in_tls() {
            return self.begin_handshake(now, false);
        }
        let rule = self.find("CONNECT", "");
        let word = if self.is_lmtp() { "LMTP" } else { "ESMTP" };
        let greeting = format!("220 {} {word}", self.name());
        self.reply(now, rule.as_ref(), vec![greeting], After::Line)
    }

    fn name(&self) -> &str {
        self.config
            .script
            .name
            .as_deref()
            .unwrap_or("server.example")
    }

    /// Goes on with the current group, or waits for the first line of the next.
    pub(super) fn wait_for_line(&mut self, now: Time) -> Option<ServerStep> {
        if self.input.contains(&b'\n') {
            self.last_input = now;
            self.state = State::Hold(if self.awaiting_response {
                Group::Response
            } else {
                Group::Command
            });
            return None;
        }
        if self.eof {
            if !self.input.is_empty() {
                let text = show(&self.input) + "<no newline>";
                self.note("C", &text);
            }
            return self.client_gone();
        }
        let until = self.last_input + IDLE;
        if now >= until {
            return self.give_up();
        }
        self.wait(State::Line, until)
    }

    /// Waits until the client is quiet, then writes the group down.
    pub(super) fn hold(&mut self, now: Time, group: Group) -> Option<ServerStep> {
        let until = self.last_input + self.config.hold;
        if !self.eof && now < until {
            return self.wait(State::Hold(group), until);
        }
        let mut verbs: Vec<String> = Vec::new();
        if matches!(group, Group::EndOfData(_)) {
            verbs.push(".".to_owned());
        }
        let mut lines: Vec<&[u8]> = self.input.as_ref().split(|byte| *byte == b'\n').collect();
        lines.pop();
        self.group_left = lines.len();
        verbs.extend(lines.iter().map(|line| verb(&show(line))));
        if let (Group::Response, Some(first)) = (&group, verbs.first_mut()) {
            *first = "RESPONSE".to_owned();
        }
        self.record.pipeline_groups.push(verbs);
        if let Group::EndOfData(content) = group {
            return self.end_of_data(now, &content);
        }
        self.state = State::Ready;
        None
    }

    /// Takes the next line of the group and answers it.
    pub(super) fn handle_line(&mut self, now: Time) -> Option<ServerStep> {
        if self.group_left == 0 {
            self.last_input = now;
            self.state = State::Line;
            return None;
        }
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            self.group_left = 0;
            self.state = State::Ready;
            return None;
        };
        let line = self.input.split_to(end + 1);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = match line.strip_suffix(b"\r") {
            Some(line) => show(line),
            None => show(line) + "<bare LF>",
        };
        self.group_left -= 1;
        self.note("C", &text);
        let event = if self.awaiting_response {
            "RESPONSE".to_owned()
        } else {
            verb(&text)
        };
        self.awaiting_response = false;
        let rule = self.find(&event, &text);
        self.answer(now, &event, rule)
    }

    /// The answer to a command: that of the rule, or the default.
    fn answer(&mut self, now: Time, event: &str, rule: Option<Rule>) -> Option<ServerStep> {
        let (default, after) = match event {
            "QUIT" => {
                let until = now + self.config.hold * 3;
                self.state = State::Quit { until, rule };
                return None;
            }
            "EHLO" | "LHLO" if (event == "LHLO") != self.is_lmtp() && rule.is_none() => {
                ("500 5.5.1 Command unrecognized", After::Line)
            }
            "EHLO" | "LHLO" => {
                self.accepted = 0;
                let lines = self.hello_lines();
                return self.reply(now, rule.as_ref(), lines, After::Line);
            }
            "HELO" => {
                self.accepted = 0;
                let line = format!("250 {}", self.name());
                return self.reply(now, rule.as_ref(), vec![line], After::Line);
            }
            "MAIL" => {
                self.accepted = 0;
                ("250 2.1.0 Ok", After::Line)
            }
            "RCPT" => ("250 2.1.5 Ok", After::Rcpt),
            "DATA" if self.accepted > 0 => (
                "354 End data with <CR><LF>.<CR><LF>",
                After::Data(rule.clone().map(Box::new)),
            ),
            "DATA" => (
                "554 5.5.1 Error: no valid recipients",
                After::Data(rule.clone().map(Box::new)),
            ),
            "STARTTLS" if rule.is_none() && self.config.script.tls.is_none() => {
                ("502 5.5.1 Error: command not implemented", After::Line)
            }
            "STARTTLS" => {
                let behind = self.input.len();
                ("220 2.0.0 Ready to start TLS", After::StartTls { behind })
            }
            "AUTH" | "RESPONSE" => ("535 5.7.8 Error: authentication failed", After::Auth),
            "RSET" => {
                self.accepted = 0;
                ("250 2.0.0 Ok", After::Line)
            }
            "NOOP" | "XFORWARD" => ("250 2.0.0 Ok", After::Line),
            _ if rule.is_some() => return self.reply(now, rule.as_ref(), Vec::new(), After::Line),
            _ => ("502 5.5.2 Error: command not recognized", After::Line),
        };
        self.reply(now, rule.as_ref(), vec![default.to_owned()], after)
    }

    /// The default reply to EHLO and LHLO.
    fn hello_lines(&self) -> Vec<String> {
        let script = &self.config.script;
        let in_tls = self.in_tls();
        let mut lines = vec![self.name().to_owned()];
        match &script.tls_extensions {
            Some(extensions) if in_tls => lines.extend(extensions.iter().cloned()),
            _ => {
                let hidden = |line: &String| in_tls && line.eq_ignore_ascii_case("STARTTLS");
                lines.extend(
                    script
                        .extensions
                        .iter()
                        .filter(|line| !hidden(line))
                        .cloned(),
                );
            }
        }
        let last = lines.len().saturating_sub(1);
        let separator = |index| if index < last { '-' } else { ' ' };
        lines
            .iter()
            .enumerate()
            .map(|(index, line)| format!("250{}{line}", separator(index)))
            .collect()
    }

    /// Gives the client a moment to close, then answers QUIT.
    pub(super) fn answer_quit(
        &mut self,
        now: Time,
        until: Time,
        rule: Option<Rule>,
    ) -> Option<ServerStep> {
        if self.eof {
            return self.client_gone();
        }
        if now < until {
            return self.wait(State::Quit { until, rule }, until);
        }
        let mute = rule
            .as_ref()
            .is_some_and(|rule| rule.reply.as_ref().is_some_and(Vec::is_empty));
        let default = vec!["221 2.0.0 Bye".to_owned()];
        self.reply(now, rule.as_ref(), default, After::Quit { mute })
    }

    /// Waits for the client to close after QUIT. Where the reply was left out, the
    /// client is given all the time it wants.
    pub(super) fn linger(&mut self, now: Time, until: Time, mute: bool) -> Option<ServerStep> {
        if self.eof {
            return self.client_gone();
        }
        let until = if mute {
            (self.last_input + IDLE).max(until)
        } else {
            until
        };
        if now < until {
            return self.wait(State::QuitLinger { until, mute }, until);
        }
        self.close()
    }
}
