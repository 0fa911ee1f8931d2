//! The life of a container as a table: in which state which event leads to
//! which state, and what is to be done on the way. The rest of the hub only
//! looks things up here.

/// Where a container is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It runs.
    Running,
    /// Its time was up, or its pod ends; it has been sent SIGKILL.
    Killed,
    /// It is dead; the log-writer writes out what is left of its output, the
    /// attach-proxy passes on its last notifications.
    Draining,
    /// Everybody has been told; the exit command is due after its delay.
    Delaying,
    /// The exit command runs.
    Commanding,
    /// Nothing is left to do.
    Gone,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The container's process has ended.
    Died,
    /// `--timeout` is over.
    TimedOut,
    /// The server of its pod ends.
    Stopped,
    /// Its output is in the log, and what it had to notify has been.
    Drained,
    /// The state has lasted as long as it may (see [`Action`]).
    Deadline,
    /// The exit command has ended, or there is none.
    CommandDone,
    /// It could not be started now.
    CommandPutOff,
}

/// What the hub does about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Nothing.
    Stay,
    /// Kill it, and wait for its death for a bounded time.
    Kill,
    /// The same, but this is not a time-out.
    Stop,
    /// Have its output written out and its notifications passed on, for a
    /// bounded time.
    Drain,
    /// Close what others wait for, write the exit files, answer the sync pipe,
    /// and wait for the exit command's delay.
    Publish,
    /// Start the exit command, close whatever else it held, and wait for the
    /// command's end as long as it takes.
    RunCommand,
    /// Wait a moment for processes or memory to start it with.
    PutOff,
    /// Forget the container.
    Leave,
}

/// The table. Whatever is not in it changes nothing: a container that drains
/// cannot start again, and dies only once.
pub(crate) fn next(state: State, event: Event) -> (State, Action) {
    match (state, event) {
        (State::Running, Event::Died) => (State::Draining, Action::Drain),
        (State::Running, Event::TimedOut) => (State::Killed, Action::Kill),
        (State::Running, Event::Stopped) => (State::Killed, Action::Stop),
        // A frozen container does not die of SIGKILL; we do not wait for ever.
        (State::Killed, Event::Died | Event::Deadline) => (State::Draining, Action::Drain),
        // A disk that never answers must not hide that the container is dead.
        (State::Draining, Event::Drained | Event::Deadline) => (State::Delaying, Action::Publish),
        (State::Delaying, Event::Deadline) => (State::Commanding, Action::RunCommand),
        (State::Commanding, Event::CommandPutOff) => (State::Delaying, Action::PutOff),
        (State::Commanding, Event::CommandDone) => (State::Gone, Action::Leave),
        (
            State::Running
            | State::Killed
            | State::Draining
            | State::Delaying
            | State::Commanding
            | State::Gone,
            _,
        ) => (state, Action::Stay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_life_ends_with_files_before_the_exit_command() {
        let mut state = State::Running;
        let mut done = Vec::new();
        for event in [Event::Died, Event::Drained, Event::Deadline, Event::CommandDone] {
            let (to, action) = next(state, event);
            state = to;
            done.push(action);
        }
        assert_eq!(done, [Action::Drain, Action::Publish, Action::RunCommand, Action::Leave]);
        assert_eq!(state, State::Gone);
    }

    #[test]
    fn a_container_that_times_out_is_killed_drained_and_published_once() {
        let (state, action) = next(State::Running, Event::TimedOut);
        assert_eq!((state, action), (State::Killed, Action::Kill));
        let (state, action) = next(state, Event::Deadline);
        assert_eq!((state, action), (State::Draining, Action::Drain));
        // The death that comes late changes nothing any more.
        assert_eq!(next(state, Event::Died), (State::Draining, Action::Stay));
    }

    #[test]
    fn nothing_happens_to_a_container_that_is_gone() {
        for event in
            [Event::Died, Event::TimedOut, Event::Drained, Event::Deadline, Event::CommandDone]
        {
            assert_eq!(next(State::Gone, event), (State::Gone, Action::Stay));
        }
    }
}
