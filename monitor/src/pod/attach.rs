//! What goes to a container that is there: attach clients, window sizes, new
//! log files. Each finds the container by its id, whatever execs run in it.

use std::fs;
use std::path::Path;

use rustix::net::{SocketFlags, SocketType};
use rustix::termios::{Winsize, tcsetwinsize};
use wire::Errno;

use super::hub::Hub;
use super::types::{AttachRequest, ReopenLogRequest, SetWindowSizeRequest};
use crate::inherited::text;
use crate::socket;

/// Listens for attach clients at the path that the request names. If somebody
/// listens there already, that is left as it is.
///
/// # Errors
/// There is no such container, or no socket can be made there.
pub fn attach(hub: &Hub, request: &AttachRequest) -> Result<(), String> {
    let container = hub.find(&request.id)?;
    let path = Path::new(&request.socket_path);
    let named = |why: String| format!("cannot listen at '{}': {why}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| named(error.to_string()))?;
    }
    if is_served(path) {
        return Ok(());
    }
    let socket = socket::listen(path, SocketType::SEQPACKET).map_err(|error| named(text(error)))?;
    hub.listen(container.key, &socket, request.stop_after_stdin_eof)
}

/// Whether there is a socket at this path that some process has. Found out by
/// connecting with another type of socket, which its owner never notices
/// (EPROTOTYPE of unix(7)); a name without a socket refuses.
pub(super) fn is_served(path: &Path) -> bool {
    let found = socket::connect(path, SocketType::DGRAM, SocketFlags::NONBLOCK, None);
    matches!(found, Ok(_) | Err(Errno::PROTOTYPE))
}

/// Has the logs of a container opened anew.
///
/// # Errors
/// There is no such container, or a log cannot be opened.
pub fn reopen_log(hub: &Hub, request: &ReopenLogRequest) -> Result<(), String> {
    let container = hub.find(&request.id)?;
    hub.reopen_log(container.key)
}

/// Sets the size of a container's terminal.
///
/// # Errors
/// There is no such container, or it has no terminal.
pub fn set_window_size(hub: &Hub, request: &SetWindowSizeRequest) -> Result<(), String> {
    let container = hub.find(&request.id)?;
    let terminal = container.tty.ok_or("container has no terminal")?;
    let size =
        Winsize { ws_row: request.height, ws_col: request.width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).map_err(|error| format!("resize terminal: {}", text(error)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_served_as_long_as_some_process_has_it() {
        let dir = std::env::temp_dir().join(format!("conmote-served-{}", std::process::id()));
        let path = dir.join("d".repeat(150)).join("socket");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(!is_served(&path));
        for kind in [SocketType::SEQPACKET, SocketType::STREAM] {
            let socket = socket::listen(&path, kind).unwrap();
            assert!(is_served(&path));
            drop(socket);
            assert!(!is_served(&path));
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert!(!is_served(&path));
        fs::remove_dir_all(&dir).unwrap();
    }
}
