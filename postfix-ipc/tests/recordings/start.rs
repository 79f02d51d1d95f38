//! How master(8) starts an agent, and what it is told.

use postfix_ipc::status::{
    Availability, GENERATION_VARIABLE, Generation, LISTEN_DESCRIPTOR, STATUS_DESCRIPTOR,
    StatusMessage,
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
