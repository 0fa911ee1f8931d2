//! Running a command for a client that streams its input and output.

use wire::OwnedFd;

use super::http::CHANNELS;
use super::input::{Input, Sink};
use super::output::{Output, channel};
use super::request::as_command;
use super::session::{End, Process, Session};
use super::socket::Socket;
use super::status;
use crate::inherited::text;
use crate::pod::containers::kill;
use crate::pod::exec::{Failure, Running, launch, watch};
use crate::pod::hub::Hub;
use crate::pod::settings::Settings;
use crate::pod::types::ServeExecContainerRequest;

/// Runs the command and serves it to its end. When the client goes, so do the
/// ends of the command's pipes or terminal: it reads the end of its input, and
/// learns that nobody reads its output.
pub fn serve(
    settings: &Settings,
    hub: &Hub,
    request: &ServeExecContainerRequest,
    socket: &mut Socket,
    protocol: &str,
    ending: &OwnedFd,
) -> End {
    let process = match begin(settings, hub, request) {
        Ok(process) => process,
        Err(why) => {
            log::error!("cannot run a command in container {}: {why}", request.id);
            let _ = socket.send(channel::STATUS, status::failed(&why).as_bytes());
            return End::Done;
        }
    };
    let end = Session::new(socket, ending, process).run();
    if let End::Status(status) = end
        // For a client of no known version anything here is a failure.
        && (status != 0 || CHANNELS.contains(&protocol))
        && !socket.send(channel::STATUS, status::ended(status).as_bytes())
    {
        return End::Gone;
    }
    end
}

fn begin(
    settings: &Settings,
    hub: &Hub,
    request: &ServeExecContainerRequest,
) -> Result<Process, String> {
    let stdin = request.stdin && !request.tty;
    let running = launch(settings, None, &as_command(request), "exec_streaming", stdin);
    let Running { pid, stdin, outputs } = running.map_err(|failure| match failure {
        Failure::NotTried(why) | Failure::Runtime(why) => why,
    })?;
    let status = watch(hub, &request.id, pid).inspect_err(|_| kill(pid))?;
    let [stdout, stderr] = outputs;
    let copy = |fd: &OwnedFd| {
        rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|error| {
            kill(pid);
            format!("cannot use its terminal: {}", text(error))
        })
    };
    let mut terminal = None;
    let sink = match &stdout {
        Some(tty) if request.tty => {
            terminal = Some(copy(tty)?);
            request.stdin.then(|| copy(tty).map(Sink::Terminal)).transpose()?
        }
        _ => stdin.map(Sink::Pipe),
    };
    let stdout = stdout.map(|fd| Output::Bytes(fd, channel::STDOUT));
    let stderr = stderr.map(|fd| Output::Bytes(fd, channel::STDERR));
    Ok(Process {
        outputs: stdout.into_iter().chain(stderr).collect(),
        input: Input::new(sink),
        terminal,
        status: Some(status),
        // Everything of a terminal is output.
        wanted: [request.stdout, request.stderr],
    })
}
