//! How the command line can end the program before anything has begun.

use std::io::Write;

use crate::status::{FAILURE, SUCCESS};

/// Exit status for a command line that makes no sense.
const USAGE: u8 = 2;

/// What to tell the caller instead of starting a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What the caller asked for (help, version): on stdout, exit status 0.
    Answer(String),
    /// The command line makes no sense: on stderr, exit status 2.
    Usage(String),
    /// The server cannot be: on stderr, exit status 1. The step that failed,
    /// and why, outer reasons first.
    Failed(&'static str, Vec<String>),
}

impl Stop {
    /// Says it and returns the exit status. A closed stdout or stderr changes
    /// nothing about the status.
    pub fn report(&self) -> u8 {
        match self {
            Stop::Answer(text) => {
                let _ = writeln!(std::io::stdout(), "{text}");
                SUCCESS
            }
            Stop::Usage(_) => {
                let _ = writeln!(std::io::stderr(), "{self}");
                USAGE
            }
            Stop::Failed(..) => {
                let _ = writeln!(std::io::stderr(), "{self}");
                FAILURE
            }
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Answer(text) => f.write_str(text),
            Stop::Usage(text) => {
                write!(f, "error: {text}\n\nFor more information, try '--help'.")
            }
            Stop::Failed(step, reasons) => {
                write!(f, "Error: {step}\n\nCaused by:")?;
                if let [reason] = reasons.as_slice() {
                    return write!(f, "\n    {reason}");
                }
                for (number, reason) in reasons.iter().enumerate() {
                    write!(f, "\n    {number}: {reason}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_when_there_are_several() {
        let stop = |reasons: &[&str]| {
            let reasons = reasons.iter().map(|reason| reason.to_string()).collect();
            Stop::Failed("create server", reasons).to_string()
        };
        assert_eq!(stop(&["a"]), "Error: create server\n\nCaused by:\n    a");
        assert_eq!(stop(&["a", "b"]), "Error: create server\n\nCaused by:\n    0: a\n    1: b");
    }
}
