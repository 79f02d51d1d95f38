//! The start of an agent by master(8), and its messages to it.

use postfix_ipc::{
    command_line::{CommandLine, Switch, Transport},
    status::{
        Availability, GENERATION_VARIABLE, Generation, LISTEN_DESCRIPTOR, STATUS_DESCRIPTOR,
        StatusMessage,
    },
};

use crate::files::named;

#[test]
fn status_messages_are_those_of_postfix() {
    let start = named("master-start");
    let generation = start["environment"][GENERATION_VARIABLE].as_str().unwrap();
    let generation: Generation = generation.parse().unwrap();
    let states = [Availability::Taken, Availability::Available];
    let messages = start["status_messages"].as_array().unwrap();
    assert_eq!(messages.len(), states.len());
    for (recorded, availability) in messages.iter().zip(states) {
        let hex: String = recorded["hex"].as_str().unwrap().replace(' ', "");
        let wire: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        let message = StatusMessage {
            pid: i32::try_from(recorded["pid"].as_i64().unwrap()).unwrap(),
            generation,
            availability,
        };
        assert_eq!(message.encode()[..], wire);
        assert_eq!(StatusMessage::decode(&wire), Some(message));
    }
    let descriptors = &start["descriptors"];
    let status = descriptors[STATUS_DESCRIPTOR.to_string()].as_str().unwrap();
    let listen = descriptors[LISTEN_DESCRIPTOR.to_string()].as_str().unwrap();
    assert!(status.contains("status channel") && listen.contains("listening"));
}

#[test]
fn every_command_line_of_master_is_understood() {
    for start in named("master-start")["starts"].as_array().unwrap() {
        let words = start["argv"].as_array().unwrap().iter();
        let line = CommandLine::parse(words.map(|word| word.as_str().unwrap())).unwrap();
        let entry = start["master_cf"].as_str().unwrap();
        let mut columns = entry.split_ascii_whitespace();
        assert_eq!(columns.next(), Some(line.service_name.as_str()));
        assert_eq!(line.transport, Some(Transport::Unix));
        let columns: Vec<_> = columns.collect();
        assert_eq!(line.has(Switch::Chroot), columns[3] == "y", "{entry}");
        assert_eq!(line.has(Switch::Alone), columns[5] == "1", "{entry}");
        assert_eq!(line.has(Switch::Unlimited), columns[5] == "0", "{entry}");
        assert!(line.has(Switch::Unprivileged));
        assert_eq!(line.process_name, columns[6]);
        assert_eq!(line.verbosity, u32::from(entry.contains(" -v")));
        for (name, value) in &line.parameters {
            assert!(entry.contains(name) && entry.contains(value));
        }
        assert_eq!(line.parameters.len(), entry.matches(" -o ").count());
        assert_eq!(line.flags.delivered_to, entry.contains("flags=DRX"));
    }
}
