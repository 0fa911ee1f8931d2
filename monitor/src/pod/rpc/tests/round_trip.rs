//! Every field of every method arrives, in both directions, through our own
//! client.

use super::*;
use crate::client::{Client, Error};

fn map(entries: &[(&str, &str)]) -> Map {
    entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

/// Runs `ask` with a client; the server must have seen `request`.
fn asked<T, R: std::fmt::Debug>(
    request: R,
    ask: impl FnOnce(&Client, &R) -> Result<T, Error>,
) -> Result<T, Error> {
    let (fake, _events) = Fake::new();
    let (served, outcome) = serving(&fake, NEVER, |stream| {
        let client = Client::new(stream).unwrap();
        ask(&client, &request)
    });
    assert!(matches!(served, Served::Closed));
    assert_eq!(fake.last(), format!("{request:?}"));
    outcome
}

#[test]
fn version_with_all_fields() {
    let request = VersionRequest { verbose: true, metadata: map(&[("traceparent", "00-1-2-3")]) };
    let response = asked(request, Client::version).unwrap();
    let expected = VersionResponse {
        process_id: u32::MAX,
        version: "1.2.3".into(),
        tag: "tag".into(),
        commit: "commit".into(),
        build_date: "date".into(),
        target: "target".into(),
        rust_version: "rustc".into(),
        cargo_version: "cargo".into(),
        cargo_tree: "tree\nof it".into(),
    };
    assert_eq!(response, expected);
}

#[test]
fn create_container_with_all_fields() {
    let driver = |kind, path: &str, max_size| LogDriver { kind, path: path.into(), max_size };
    let request = CreateContainerRequest {
        id: "id".into(),
        bundle_path: "/bündle".into(),
        terminal: true,
        stdin: true,
        exit_paths: texts(&["/exit/1", "", "/exit/3"]),
        oom_exit_paths: texts(&["/oom"]),
        log_drivers: vec![
            driver(LogDriverType::ContainerRuntimeInterface, "/log", u64::MAX),
            driver(LogDriverType::Json, "/json", 1),
            driver(LogDriverType::Journald, "", 0),
        ],
        cleanup_cmd: texts(&["/bin/touch", "a b"]),
        global_args: texts(&["--debug"]),
        command_args: texts(&["--no-pivot", "--preserve-fds=2"]),
        metadata: map(&[("a", "b")]),
        env_vars: map(&[("FOO", "bar"), ("EMPTY", ""), ("FOO", "again")]),
        cgroup_manager: CgroupManager::Cgroupfs,
        additional_fds: vec![1, u64::MAX, 3],
        leak_fds: vec![4],
    };
    assert_eq!(asked(request, Client::create_container).unwrap().container_pid, 4242);
}

#[test]
fn exec_sync_with_all_fields() {
    let request = ExecSyncContainerRequest {
        id: "id".into(),
        timeout_sec: 300,
        command: texts(&["/bin/sh", "-c", "echo"]),
        terminal: true,
        metadata: map(&[("a", "b")]),
        env_vars: map(&[("c", "d")]),
        cgroup_manager: CgroupManager::Cgroupfs,
    };
    let response = asked(request, Client::exec_sync_container).unwrap();
    assert_eq!(response.exit_code, -3);
    assert_eq!(response.stdout, (0..300).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    assert_eq!(response.stderr, b"id");
    assert!(response.timed_out);
}

#[test]
fn much_output_arrives_exactly() {
    let size = 16 * 1024 * 1024;
    let request = ExecSyncContainerRequest { timeout_sec: size, ..Default::default() };
    let response = asked(request, Client::exec_sync_container).unwrap();
    assert_eq!(response.stdout.len() as u64, size);
    assert!(response.stdout.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
}

#[test]
fn attach_with_all_fields_and_the_services_error() {
    let request = AttachRequest {
        id: "id".into(),
        socket_path: "/attach".into(),
        exec_session_id: "session".into(),
        stop_after_stdin_eof: true,
        metadata: map(&[("a", "b")]),
    };
    let error = asked(request, Client::attach_container).unwrap_err();
    assert_eq!(error, Error::Failed("no container id".into()));
}

#[test]
fn reopen_log_with_all_fields() {
    let request = ReopenLogRequest { id: "id".into(), metadata: map(&[("a", "b")]) };
    asked(request, Client::reopen_log_container).unwrap();
}

#[test]
fn set_window_size_with_all_fields() {
    let request = SetWindowSizeRequest {
        id: "id".into(),
        width: 65535,
        height: 20,
        metadata: map(&[("a", "b")]),
    };
    asked(request, Client::set_window_size_container).unwrap();
}

#[test]
fn create_namespaces_with_all_fields() {
    use Namespace::*;
    let request = CreateNamespacesRequest {
        namespaces: vec![Uts, User, Pid, Net, Ipc],
        uid_mappings: texts(&["0 0 1", "1 1 1"]),
        gid_mappings: texts(&["0 0 2"]),
        base_path: "/run".into(),
        pod_id: "pod".into(),
        metadata: map(&[("a", "b")]),
    };
    let response = asked(request, Client::create_namespaces).unwrap();
    let kinds: Vec<Namespace> = response.namespaces.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Uts, User, Pid, Net, Ipc]);
    assert_eq!(response.namespaces[1].path, "/run/User");
}

#[test]
fn fd_socket_with_all_fields() {
    let request = StartFdSocketRequest { metadata: map(&[("a", "b")]) };
    assert_eq!(asked(request, Client::start_fd_socket).unwrap().path, "/fd");
}

#[test]
fn serve_exec_with_all_fields() {
    for flag in 0..4 {
        let request = ServeExecContainerRequest {
            metadata: map(&[("a", "b")]),
            id: "id".into(),
            command: texts(&["a", "b"]),
            tty: flag == 0,
            stdin: flag == 1,
            stdout: flag == 2,
            stderr: flag == 3,
            cgroup_manager: CgroupManager::Cgroupfs,
        };
        assert_eq!(asked(request, Client::serve_exec_container).unwrap().url, "exec");
    }
}

#[test]
fn serve_attach_with_all_fields() {
    for flag in 0..3 {
        let request = ServeAttachContainerRequest {
            metadata: map(&[("a", "b")]),
            id: "id".into(),
            stdin: flag == 0,
            stdout: flag == 1,
            stderr: flag == 2,
        };
        assert_eq!(asked(request, Client::serve_attach_container).unwrap().url, "attach");
    }
}

#[test]
fn serve_port_forward_with_all_fields() {
    let request = ServePortForwardContainerRequest {
        metadata: map(&[("a", "b")]),
        net_ns_path: "/net".into(),
    };
    assert_eq!(asked(request, Client::serve_port_forward_container).unwrap().url, "forward");
}

#[test]
fn calls_of_one_client_run_side_by_side() {
    let (fake, events) = Fake::new();
    serving(&fake, NEVER, |stream| {
        let client = Client::new(stream).unwrap();
        let slow = ExecSyncContainerRequest {
            id: "slow".into(),
            command: texts(&["wait"]),
            ..Default::default()
        };
        thread::scope(|scope| {
            let waiting = scope.spawn(|| client.exec_sync_container(&slow));
            assert_eq!(events.recv(), Ok(Event::Begun("slow".into())));
            let fast = ExecSyncContainerRequest { id: "fast".into(), ..Default::default() };
            assert_eq!(client.exec_sync_container(&fast).unwrap().stderr, b"fast");
            assert!(!waiting.is_finished());
            fake.let_go("slow");
            assert_eq!(waiting.join().unwrap().unwrap().stderr, b"slow");
        });
    });
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let path = std::path::Path::new("/nonexistent/conmon.sock");
    let error = Client::connect(path).unwrap_err().to_string();
    assert_eq!(error, "cannot connect to /nonexistent/conmon.sock: No such file or directory");
}

#[test]
fn a_server_that_closes_is_an_error_not_a_wait() {
    let (ours, theirs) = pair();
    drop(theirs);
    assert!(matches!(Client::new(ours), Err(Error::Connection(_))));
}
