//! The command lines that the OCI runtime gets.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use log::LevelFilter;

use super::settings::Settings;
use super::types::{CgroupManager, CreateContainerRequest, ExecSyncContainerRequest};

/// What stands before the command, for a container of that id.
fn common(settings: &Settings, id: &str, cgroups: CgroupManager) -> Vec<OsString> {
    let mut args = Vec::new();
    if settings.runtime_name() == "crun" {
        args.push(format!("--log=journald:{id}").into());
        match settings.log_level {
            LevelFilter::Debug => args.push("--log-level=debug".into()),
            LevelFilter::Warn => args.push("--log-level=warning".into()),
            LevelFilter::Error => args.push("--log-level=error".into()),
            LevelFilter::Off | LevelFilter::Info | LevelFilter::Trace => {}
        }
    }
    // Twice, as conmonrs has it: runtimes take the last.
    for _ in 0..2 {
        if let Some(root) = &settings.runtime_root {
            args.push(with_value("--root", root.as_os_str()));
        }
        if cgroups == CgroupManager::Systemd {
            args.push("--systemd-cgroup".into());
        }
    }
    args
}

/// `NAME=VALUE` as one argument.
fn with_value(name: &str, value: &OsStr) -> OsString {
    let mut arg = OsString::from(name);
    arg.push("=");
    arg.push(value);
    arg
}

/// The arguments for creating a container, whose pid goes to `pid_file`.
pub fn create(
    settings: &Settings,
    request: &CreateContainerRequest,
    pid_file: &Path,
    console: Option<&Path>,
) -> Vec<OsString> {
    let mut args = common(settings, &request.id, request.cgroup_manager);
    args.extend(request.global_args.iter().map(OsString::from));
    args.extend(["create", "--bundle", &request.bundle_path, "--pid-file"].map(OsString::from));
    args.push(pid_file.into());
    args.extend(request.command_args.iter().map(OsString::from));
    args.extend(console.map(|path| with_value("--console-socket", path.as_os_str())));
    args.push(request.id.clone().into());
    args
}

/// The arguments for running a command in a container.
pub fn exec(
    settings: &Settings,
    request: &ExecSyncContainerRequest,
    pid_file: &Path,
    console: Option<&Path>,
) -> Vec<OsString> {
    let mut args = common(settings, &request.id, request.cgroup_manager);
    args.extend(["exec", "-d"].map(OsString::from));
    if let Some(path) = console {
        args.push(with_value("--console-socket", path.as_os_str()));
        args.push("--tty".into());
    }
    args.push(with_value("--pid-file", pid_file.as_os_str()));
    args.push(request.id.clone().into());
    args.extend(request.command.iter().map(OsString::from));
    args
}

/// The arguments for removing a container that is not to be.
pub fn delete(settings: &Settings, request: &CreateContainerRequest) -> Vec<OsString> {
    let mut args = common(settings, &request.id, request.cgroup_manager);
    args.extend(request.global_args.iter().map(OsString::from));
    args.extend(["delete", "--force", &request.id].map(OsString::from));
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::settings::tests::example;

    fn words(args: &[OsString]) -> String {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        words.join(" ")
    }

    fn request() -> CreateContainerRequest {
        CreateContainerRequest {
            id: "abc".into(),
            bundle_path: "/b".into(),
            global_args: vec!["--debug".into()],
            command_args: vec!["--no-pivot".into()],
            ..CreateContainerRequest::default()
        }
    }

    #[test]
    fn a_container_is_created_with_everything_in_its_place() {
        let args = create(&example(), &request(), Path::new("/b/pidfile"), None);
        assert_eq!(
            words(&args),
            "--root=/run/runc --systemd-cgroup --root=/run/runc --systemd-cgroup --debug create \
             --bundle /b --pid-file /b/pidfile --no-pivot abc"
        );
        let bare = Settings { runtime_root: None, ..example() };
        let cgroupfs =
            CreateContainerRequest { cgroup_manager: CgroupManager::Cgroupfs, ..request() };
        let console = Some(Path::new("/tmp/c"));
        assert_eq!(
            words(&create(&bare, &cgroupfs, Path::new("p"), console)),
            "--debug create --bundle /b --pid-file p --no-pivot --console-socket=/tmp/c abc"
        );
    }

    #[test]
    fn crun_logs_to_the_journal_at_the_servers_level() {
        let line = |log_level| {
            let settings =
                Settings { runtime: "/x/crun".into(), runtime_root: None, log_level, ..example() };
            let request = ExecSyncContainerRequest {
                id: "abc".into(),
                command: vec!["true".into()],
                cgroup_manager: CgroupManager::Cgroupfs,
                ..ExecSyncContainerRequest::default()
            };
            words(&exec(&settings, &request, Path::new("p"), None))
        };
        let plain = "--log=journald:abc exec -d --pid-file=p abc true";
        for level in [LevelFilter::Off, LevelFilter::Info, LevelFilter::Trace] {
            assert_eq!(line(level), plain);
        }
        for (level, word) in [
            (LevelFilter::Debug, "debug"),
            (LevelFilter::Warn, "warning"),
            (LevelFilter::Error, "error"),
        ] {
            let with_level = format!("--log=journald:abc --log-level={word} exec");
            assert_eq!(line(level), plain.replace("--log=journald:abc exec", &with_level));
        }
    }

    #[test]
    fn a_command_runs_detached_with_a_terminal_if_it_wants_one() {
        let request = ExecSyncContainerRequest {
            id: "abc".into(),
            command: vec!["sh".into(), "-c".into(), "".into()],
            ..ExecSyncContainerRequest::default()
        };
        let console = Some(Path::new("/tmp/c"));
        let args = exec(&example(), &request, Path::new("/run/pod/p"), console);
        assert_eq!(
            words(&args),
            "--root=/run/runc --systemd-cgroup --root=/run/runc --systemd-cgroup exec -d \
             --console-socket=/tmp/c --tty --pid-file=/run/pod/p abc sh -c "
        );
    }
}
