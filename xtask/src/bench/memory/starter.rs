//! Containers of one state with their monitors.

use std::path::PathBuf;

use super::super::cgroup::{Groups, born};
use super::super::pod::{at_rest, parking_soon};
use super::state::State;
use tests::pod::{Pod, Server};
use tests::{Call, Client, Container, Result, Scratch, Session, wait};

/// Of a pod.
pub(super) const CONTAINERS: usize = 2;

/// All that keeps one container going; dropping it is not enough to end it, that is up to the scratch.
pub(super) enum Held<'a> {
    Monitored { _session: Session, _client: Option<Client> },
    Pod { _pod: Pod<'a> },
}

/// What starts containers of one state, over a runtime that does not stay in the monitors' group.
pub(super) struct Starter<'a> {
    state: State,
    scratch: &'a Scratch,
    runtime: PathBuf,
    groups: Option<&'a Groups>,
    /// The least program.
    pub(super) bare: String,
    /// The container that exec sessions are in.
    host: Option<Session>,
}

impl<'a> Starter<'a> {
    /// With everything that all containers share.
    pub(super) fn new(
        state: State,
        scratch: &'a Scratch,
        runtime: PathBuf,
        groups: Option<&'a Groups>,
        bare: String,
    ) -> Result<Starter<'a>> {
        let mut starter = Starter { state, scratch, runtime, groups, bare, host: None };
        if state == State::Exec {
            let call = Call::create(scratch, &starter.program("pause"))?.no_exit_command();
            starter.host = Some(starter.started(call.set("-r", &starter.runtime))?);
        }
        Ok(starter)
    }

    fn program(&self, verb: &str) -> Container {
        Container::new([self.bare.as_str(), verb])
    }

    /// The container that this state takes.
    fn container(&self) -> Container {
        match self.state {
            State::Idle | State::Attached | State::Exec | State::Pod => self.program("pause"),
            State::Logging => self.program("drip"),
            State::Terminal => self.program("pause").terminal().stdin(),
        }
    }

    /// One more.
    pub(super) fn one_more(&self) -> Result<Held<'a>> {
        if self.state == State::Pod {
            return self.pod();
        }
        if let Some(host) = &self.host {
            let call = Call::exec(self.scratch, host, &self.container())?.no_exit_command();
            return self.exec(call.set("-r", &self.runtime));
        }
        let call = Call::create(self.scratch, &self.container())?.no_exit_command();
        let session = self.started(call.set("-r", &self.runtime))?;
        let client = match self.state {
            State::Attached | State::Terminal => Some(session.attach()?),
            State::Idle | State::Logging | State::Exec | State::Pod => None,
        };
        Ok(Held::Monitored { _session: session, _client: client })
    }

    fn pod(&self) -> Result<Held<'a>> {
        let mut server = Server::new(self.scratch)?;
        server.runtime = self.runtime.clone();
        // A long wait would be one more chance for others to disturb.
        let pod = born(self.groups, || parking_soon(server).start())?;
        for _ in 0..CONTAINERS {
            pod.running(&self.container())?;
        }
        Ok(Held::Pod { _pod: pod })
    }

    /// Waits until nothing is under way any more beside so many containers, where that takes time.
    pub(super) fn rest(&self, number: usize) -> Result {
        match self.state {
            State::Pod => at_rest(self.scratch, number),
            // One of ours that is told nothing leaves.
            State::Exec => wait::until("sessions that say nothing to have one process", || {
                Ok(self.scratch.monitors_named("log-writer").is_empty().then_some(()))
            }),
            _ => Ok(()),
        }
    }

    fn started(&self, call: Call) -> Result<Session> {
        let mut session = born(self.groups, || call.spawn())?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        session.start()?;
        // No engine keeps them, and they are the kernel's memory, too.
        session.close_start_pipe();
        session.close_sync_pipe();
        Ok(session)
    }

    fn exec(&self, call: Call) -> Result<Held<'a>> {
        let mut session = born(self.groups, || call.spawn())?;
        session.release()?;
        session.attach_message()?;
        let client = Client::connect(&session.paths.bundle)?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        Ok(Held::Monitored { _session: session, _client: Some(client) })
    }
}
