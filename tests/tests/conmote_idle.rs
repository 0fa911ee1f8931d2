//! What a container costs that does nothing, and that nothing spins.

use std::time::Duration;

use tests::{Call, Container, Result, Scratch, Session, ours_only};

/// The most that a hub may own alone, in kB.
const PRIVATE_DIRTY: u64 = 16;

fn one_small_process(scratch: &Scratch, session: &Session) -> Result {
    let hub = scratch.idle()?;
    assert_eq!(hub.pid, session.monitor()?, "the hub is the process that the engine knows");
    // Pages of a program file that has just been built count as dirty until they are on disk.
    let program = std::fs::File::open(format!("/proc/{}/exe", hub.pid)).unwrap();
    program.sync_all().unwrap();
    let dirty = hub.private_dirty_kb().unwrap();
    assert!(dirty <= PRIVATE_DIRTY, "{dirty} kB:\n{}", hub.proc_file("smaps"));
    Ok(())
}

#[test]
fn an_idle_container_has_one_small_process() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    one_small_process(&scratch, &session)
}

#[test]
fn it_has_one_again_after_output_and_visitors() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("cat").stdin())?.flag("--leave-stdin-open");
    let session = call.running()?;
    for _ in 0..3 {
        let mut client = session.attach()?;
        let line = vec![b'x'; 30_000];
        client.send_all(&line)?;
        client.read_while("the echo", |client| client.stdout.len() < line.len())?;
        drop(client);
        one_small_process(&scratch, &session)?;
    }
    Ok(())
}

#[test]
fn a_terminal_costs_no_more() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("echo hello; exec sleep 1000").terminal())?
        .running()?;
    session.log_until("the greeting", |log| !log.is_empty())?;
    session.write_fifo("ctl", b"1 24 80\n")?;
    one_small_process(&scratch, &session)
}

#[test]
fn its_stack_shares_page_tables_with_its_program_and_its_arguments_are_shown() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::new(["sleep", "1000"]))?;
    let session = call.env("SHOWN", "too").running()?;
    let hub = scratch.idle()?;
    assert_eq!(hub.proc_file("cmdline"), format!("exit-reaper\0{}\0", session.paths.id));
    assert!(hub.proc_file("environ").split('\0').any(|variable| variable == "SHOWN=too"));
    // Kernels that checkpoints cannot be made with leave the stack where it is.
    if rustix::process::virtual_memory_map_config_struct_size().is_err() {
        return Ok(());
    }
    let maps = hub.proc_file("maps");
    let range = |line: &str| {
        let (begin, end) = line.split(' ').next()?.split_once('-')?;
        Some([begin, end].map(|at| u64::from_str_radix(at, 16).unwrap()))
    };
    let found = |what: &str| maps.lines().rfind(|line| line.ends_with(what)).and_then(range);
    let [program, stack] = ["/exit-reaper", "[stack]"].map(|what| found(what).unwrap());
    let between = stack[0].checked_sub(program[1]);
    assert!(between.is_some_and(|bytes| (4096..1 << 21).contains(&bytes)), "{maps}");
    // Nobody can write to the page below it.
    assert!(maps.lines().filter_map(range).all(|[_, end]| end != stack[0]), "{maps}");
    Ok(())
}

/// Spinning would use 50 ticks in this time.
const WHILE: Duration = Duration::from_millis(500);

#[test]
fn input_that_nobody_takes_does_not_make_it_spin() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = "exec < /dev/null; echo ready; exec sleep 1000";
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.created()?;
    let mut client = session.attach()?;
    session.start()?;
    client.expect("ready\n")?;
    client.send(b"too late\n")?;
    client.send(b"much too late\n")?;
    assert!(scratch.ticks_during(WHILE) < 10);
    Ok(())
}

#[test]
fn a_client_that_only_half_closed_does_not_make_it_spin() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Container::sh("cat; echo ready; exec sleep 1000").stdin();
    let session = Call::create(&scratch, &container)?.running()?;
    let mut client = session.attach()?;
    client.half_close()?;
    client.expect("ready\n")?;
    assert!(scratch.ticks_during(WHILE) < 10);
    Ok(())
}

#[test]
fn a_ctl_line_without_end_does_not_make_it_spin() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("sleep 1000").terminal())?.running()?;
    session.write_fifo("ctl", &[b'1'; 4000])?;
    assert!(scratch.ticks_during(WHILE) < 10);
    session.write_fifo("winsz", &[b'1'; 4000])?;
    assert!(scratch.ticks_during(WHILE) < 10);
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}
