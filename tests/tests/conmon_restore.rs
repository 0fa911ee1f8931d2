//! Containers restored from a checkpoint: the runtime's other way of making one.

use std::path::Path;
use tests::{Call, Container, Result, Scratch, note};

#[test]
fn a_restored_container_is_watched_like_any_other() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo back again; sleep 0.1; exit 4"))?;
    let session = call.set("--restore", "/a/checkpoint").created()?;
    assert_eq!(session.exit_code()?, 4);
    assert_eq!(session.log()?[0].content, b"back again");
    session.monitor_gone()
}

#[test]
fn the_runtime_is_told_what_to_restore_from() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let call = Call::create(&scratch, &Container::sh("true"))?
        .env("SMALL_RUNTIME_TRACE", &trace)
        .set("--restore", "/a/checkpoint")
        .add("--runtime-opt", "--tcp-established")
        .flag("--no-pivot");
    let bundle = call.paths().bundle.clone();
    let session = call.created()?;
    assert_eq!(session.exit_code()?, 0);
    let note = note::wait_for_verb(&trace, "restore")?;
    assert_eq!(note.value_of("--image-path"), Some("/a/checkpoint"));
    assert_eq!(note.value_of("--work-path").map(Path::new), Some(&*bundle));
    assert_eq!(note.value_of("--bundle").map(Path::new), Some(&*bundle));
    let words = note.arguments();
    let place = |word: &str| words.iter().position(|other| *other == word);
    let order = ["--bundle", "--pid-file", "--no-pivot", "--detach", "--image-path", "--work-path"];
    let places: Vec<_> = order.iter().map(|word| place(word)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{words:?}");
    assert!(place("--tcp-established") > place("--work-path"), "{words:?}");
    Ok(())
}
