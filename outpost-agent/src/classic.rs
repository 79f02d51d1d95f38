//! One request at a time: master(8) starts as many processes as there are requests (`src/master/single_server.c`).

use std::{fs::File, os::fd::AsFd, sync::Arc};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use postfix_ipc::status::Availability;
use runtime_blocking::Client;

use crate::{
    agent::Agent,
    fatal::{Fatal, words},
    inherited::Inherited,
    poll,
};

/// Serves requests until there is a reason to go. `lock` is what the processes of the service accept under; none if this
/// is the only one.
///
/// # Errors
/// A fault that Postfix's process would end for.
pub(crate) fn run(
    agent: &Arc<Agent>,
    mut inherited: Inherited,
    mut lock: Option<File>,
) -> Result<(), Fatal> {
    let client = Client::new(Arc::clone(&agent.policy));
    let mut served = 0;
    while served < agent.max_use() {
        let held = lock.take().map(hold).transpose()?;
        // master(8) is gone or has reloaded, or nobody has come for a long time.
        let both = [
            inherited.status.stream().as_fd(),
            inherited.listener.as_fd(),
        ];
        if poll::wait(both, Some(agent.max_idle()))? != Some(1) {
            return Ok(());
        }
        let watched = agent.watchdog.watch();
        if agent.is_outdated()? {
            return Ok(());
        }
        let accepted = inherited.listener.accept();
        lock = held.map(release).transpose()?;
        drop(watched);
        let mut stream = match accepted {
            Ok((stream, _)) => stream,
            // Another process was faster, or the other end has gone.
            Err(error) if poll::is_passing(&error) => continue,
            Err(error) => {
                agent
                    .log
                    .error(format_args!("accept connection: {}", words(&error)));
                match poll::pause(inherited.status.stream().as_fd())? {
                    true => continue,
                    false => return Ok(()),
                }
            }
        };
        // Nobody may be there to hear it; then the end of the channel is seen below.
        let _ = inherited.status.tell(Availability::Taken);
        agent.serve(&client, &mut stream)?;
        drop(stream);
        if inherited.status.tell(Availability::Available).is_err() {
            return Ok(());
        }
        served += 1;
    }
    Ok(())
}

fn hold(lock: File) -> Result<Flock<File>, Fatal> {
    let mut lock = lock;
    loop {
        match Flock::lock(lock, FlockArg::LockExclusive) {
            Ok(held) => return Ok(held),
            Err((back, Errno::EINTR)) => lock = back,
            Err((_, error)) => return Err(Fatal::new(format!("select lock: {error}"))),
        }
    }
}

fn release(held: Flock<File>) -> Result<File, Fatal> {
    held.unlock()
        .map_err(|(_, error)| Fatal::new(format!("select unlock: {error}")))
}
