//! How the command line can end the program before anything has begun.

use std::io::Write;

use crate::status::{FAILURE, SUCCESS};

/// What to tell the caller instead of starting a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What the caller asked for (help, version): on stdout, exit status 0.
    Answer(String),
    /// The command line makes no sense: on stderr, exit status 1. Nothing is
    /// known yet about log levels or syslog.
    Usage(String),
    /// The request can't be served: logged as an error, exit status 1.
    Refused(String),
}

impl Stop {
    /// Says it, in conmon's format, and returns the exit status.
    ///
    /// A closed stdout or stderr changes nothing about the status.
    pub fn report(&self) -> u8 {
        match self {
            Self::Answer(text) => {
                let _ = writeln!(std::io::stdout(), "{text}");
                SUCCESS
            }
            Self::Usage(text) => {
                let _ = writeln!(std::io::stderr(), "conmon: {text}");
                FAILURE
            }
            Self::Refused(text) => {
                log::error!("{text}");
                FAILURE
            }
        }
    }
}
