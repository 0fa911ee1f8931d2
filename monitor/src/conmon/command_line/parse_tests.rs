use std::ffi::OsString;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn parse(args: &[&str]) -> Options {
    Options::parse(args).expect("should be accepted")
}

fn parse_words(args: &str) -> Options {
    parse(&args.split_whitespace().collect::<Vec<_>>())
}

#[test]
fn without_arguments_everything_has_its_default() {
    let options = parse(&[]);
    assert_eq!(options.exit_delay, 0);
    assert_eq!(options.timeout, 0);
    assert_eq!(options.log_size_max, -1);
    assert_eq!(options.log_global_size_max, -1);
    assert_eq!(options.log_max_files, 1);
    assert_eq!(options.cid, None);
    assert!(options.log_path.is_empty() && !options.api_version && !options.terminal);
}

#[test]
fn each_option_of_conmon_is_known_under_its_names() {
    let expected = "
        --api-version --bundle -b= --cid -c= --conmon-pidfile -P= --container-pidfile -p= --cuuid -u= --exec -e
        --exec-attach --exec-process-spec= --exit-command= --exit-command-arg= --exit-delay# --exit-dir=
        --full-attach --leave-stdin-open --log-level= --log-path -l= --log-size-max# --log-global-size-max#
        --log-tag= --log-label= --log-rotate --log-max-files# --log-allowlist-dir= --no-container-partial-message
        --name -n= --no-new-keyring --no-pivot --no-sync-log --persist-dir -0= --pidfile= --replace-listen-pid
        --restore= --restore-arg= --runtime -r= --runtime-arg= --runtime-opt= --sdnotify-socket=
        --socket-dir-path= --stdin -i --sync --syslog --systemd-cgroup -s --terminal -t --timeout -T# --version";
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    let mut known = Vec::new();
    for entry in table() {
        let suffix = match entry.kind {
            Kind::Flag => "",
            Kind::Text => "=",
            Kind::Int32 | Kind::Int64 => "#",
        };
        match entry.short {
            None => known.push(format!("--{}{suffix}", entry.long)),
            Some(letter) => {
                known.push(format!("--{}", entry.long));
                known.push(format!("-{}{suffix}", char::from(letter)));
            }
        }
    }
    known.sort();
    expected.sort_unstable();
    assert_eq!(known, expected);
}

#[test]
fn only_the_sizes_are_64_bit_numbers() {
    for option in ["--log-size-max", "--log-global-size-max"] {
        assert!(Options::parse(&[option, "2147483648"]).is_ok(), "{option}");
    }
    for option in ["--exit-delay", "--timeout", "--log-max-files"] {
        assert_eq!(
            Options::parse(&[option, "2147483648"]),
            Err(Stop::Usage(format!(
                "option parsing failed: Integer value “2147483648” for {option} out of range"
            )))
        );
    }
}

#[test]
fn of_a_repeated_option_the_last_wins_and_lists_grow_in_order() {
    let options = parse_words(
        "-c a --timeout 1 --cid b -T 2 -i -i --runtime-arg x --runtime-arg= -l 1 --log-path 2",
    );
    assert_eq!(options.cid, Some("b".into()));
    assert_eq!(options.timeout, 2);
    assert!(options.stdin);
    assert_eq!(options.runtime_arg, ["x", ""]);
    assert_eq!(options.log_path, ["1", "2"]);
}

#[test]
fn a_wrong_number_is_a_mistake_even_if_a_later_one_would_win() {
    assert!(Options::parse(&["--timeout", "x", "--timeout", "1"]).is_err());
}

#[test]
fn old_names_are_the_new_options() {
    let options =
        parse(&["--pidfile", "/p", "--runtime-opt=1", "--restore-arg=2", "--runtime-opt=3"]);
    assert_eq!(options.container_pidfile, Some("/p".into()));
    assert_eq!(options.runtime_opt, ["1", "2", "3"]);
    assert_eq!(
        Options::parse(&["--pidfile"]),
        Err(Stop::Usage("option parsing failed: Missing argument for --pidfile".to_owned()))
    );
}

#[test]
fn what_podman_passes_is_understood() {
    let options = parse_words(
        "--api-version 1 -c id -u id -r /usr/bin/runc -b /b -p /b/pidfile -n name --exit-dir /e
        --full-attach -s -l k8s-file:/b/ctr.log --log-level warning --runtime-arg --log-format=json
        --runtime-arg --log --runtime-arg=/b/oci-log -t --conmon-pidfile /b/conmon.pid
        --exit-command /usr/bin/podman --exit-command-arg --root --exit-command-arg= --exit-command-arg
        --rm --runtime-opt --preserve-fds --runtime-opt 2",
    );
    assert!(
        options.api_version && options.full_attach && options.systemd_cgroup && options.terminal
    );
    assert_eq!(options.runtime_arg, ["--log-format=json", "--log", "/b/oci-log"]);
    assert_eq!(options.exit_command_arg, ["--root", "", "--rm"]);
    assert_eq!(options.runtime_opt, ["--preserve-fds", "2"]);
    assert_eq!(options.conmon_pidfile, Some("/b/conmon.pid".into()));
}

#[test]
fn help_names_every_option_once_and_is_an_answer() {
    let Err(Stop::Answer(help)) = Options::parse(&["--help"]) else {
        panic!("no help");
    };
    for entry in table().iter().filter(|entry| ALIASES.iter().all(|(old, _)| *old != entry.long)) {
        let line = match entry.short {
            Some(letter) => format!("  -{}, --{}", char::from(letter), entry.long),
            None => format!("  --{}", entry.long),
        };
        let lines = help.lines().filter(|text| {
            text.strip_prefix(&line).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert_eq!(lines.count(), 1, "{line} in\n{help}");
    }
    assert!(!help.contains("--restore-arg"), "old names stay hidden");
}

#[test]
fn values_may_be_any_bytes() {
    let value = OsStr::from_bytes(b"\xff\xc3\x28 \xe2\x82\xac\x01");
    let options =
        Options::parse(&[OsStr::new("--cid"), value, OsStr::new("-b"), value]).expect("accepted");
    assert_eq!(options.cid.as_deref(), Some(value));
    assert_eq!(options.bundle, Some(PathBuf::from(value)));
}

/// Arguments that look like options often enough to get somewhere.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<Vec<u8>> =
        table().iter().map(|entry| format!("--{}", entry.long).into_bytes()).collect();
    prop_oneof![
        proptest::sample::select(names),
        vec(any::<u8>(), 0..6),
        vec(any::<u8>(), 0..6).prop_map(|mut bytes| {
            bytes.insert(0, b'-');
            bytes
        }),
        "-[-a-zA-Z0?=]{0,8}".prop_map(String::into_bytes),
        "[ +-]?[0-9x]{0,25}".prop_map(String::into_bytes),
    ]
}

/// How an option and its value are written.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Apart,
    Joined,
    Short,
    Cluster,
}

/// One option, its value and its spelling; numbers and texts alike.
fn option() -> impl Strategy<Value = (Entry, Vec<u8>, i32, Spelling)> {
    use Spelling::{Apart, Cluster, Joined, Short};
    (
        proptest::sample::select(table()),
        vec(1..=u8::MAX, 0..12),
        any::<i32>(),
        proptest::sample::select(vec![Apart, Joined, Short, Cluster]),
    )
}

proptest! {
    #[test]
    fn no_command_line_makes_it_panic(args in vec(argument(), 0..12)) {
        let args: Vec<OsString> = args.into_iter().map(OsString::from_vec).collect();
        let _ = Options::parse(&args);
    }

    #[test]
    fn a_well_formed_command_line_is_understood_whatever_its_spelling(options in vec(option(), 0..20)) {
        let mut args: Vec<Vec<u8>> = Vec::new();
        let mut expected = Vec::new();
        for (entry, text, number, spelling) in options {
            let (value, bytes) = match entry.kind {
                Kind::Flag => (Value::On, None),
                Kind::Text => (Value::Text(text.clone()), Some(text)),
                _ => (Value::Number(number.into()), Some(number.to_string().into_bytes())),
            };
            expected.push((entry.long, value));
            let long = format!("--{}", entry.long).into_bytes();
            match (spelling, entry.short, bytes) {
                (Spelling::Joined, _, Some(bytes)) => args.push([long, bytes].join(&b'=')),
                (Spelling::Short, Some(letter), bytes) => {
                    args.push(vec![b'-', letter]);
                    args.extend(bytes);
                }
                (Spelling::Cluster, Some(letter), bytes) => {
                    expected.push(("stdin", Value::On));
                    args.push(vec![b'-', letter, b'i']);
                    args.extend(bytes);
                }
                (_, _, bytes) => {
                    args.push(long);
                    args.extend(bytes);
                }
            }
        }
        prop_assert_eq!(glib::parse(&table(), &args), Ok(Parsed::Options(expected.clone())));

        let args: Vec<OsString> = args.into_iter().map(OsString::from_vec).collect();
        let options = Options::parse(&args).expect("well-formed");
        let last = |name: &str| expected.iter().rev().find(|(long, _)| *long == name).map(|(_, value)| value.clone());
        let texts = |names: &[&str]| -> Vec<Value> {
            expected.iter().filter(|(long, _)| names.contains(long)).map(|(_, value)| value.clone()).collect()
        };
        let as_text = |text: &OsString| Value::Text(text.as_bytes().to_vec());
        prop_assert_eq!(options.cid.as_ref().map(as_text), last("cid"));
        prop_assert_eq!(options.name.as_ref().map(as_text), last("name"));
        prop_assert_eq!(i64::from(options.timeout), match last("timeout") { Some(Value::Number(n)) => n, _ => 0 });
        prop_assert_eq!(options.stdin, last("stdin").is_some());
        prop_assert_eq!(options.log_path.iter().map(as_text).collect::<Vec<_>>(), texts(&["log-path"]));
        prop_assert_eq!(
            options.runtime_opt.iter().map(as_text).collect::<Vec<_>>(),
            texts(&["runtime-opt", "restore-arg"])
        );
    }
}
