//! Telling everybody that a container is dead: exit files and sync pipe.

use crate::container::Container;
use core::ffi::CStr;
use rustix::fs::{AtFlags, Mode, OFlags};
use wire::record::{Fields, Tag};
use wire::{Errno, Key};

const NAME: &str = "exit-reaper";

/// Text of a bounded length without allocation.
pub(crate) type Text = heapless::String<96>;

/// Writes `<persist-dir>/exit` and `<exit-dir>/<cid>`, and the exit files of
/// a pod's container in the order in which they were asked for: the status in decimal,
/// no newline, complete the moment the name appears. What cannot be written is
/// reported and does not keep the others from being written.
pub(crate) fn exit_files(key: Key, fields: Fields<'_>, status: i32) {
    let files = [(Tag::PersistDir, Some(c"exit")), (Tag::ExitDir, fields.string(Tag::Cid))];
    let files = files.into_iter().filter_map(|(dir, name)| Some((fields.string(dir)?, name?)));
    let more = fields.strings(Tag::ExitFolder).zip(fields.strings(Tag::ExitName));
    for (dir, name) in files.chain(more) {
        if let Err(error) = exit_file(key, dir, name, status) {
            let dir = dir.to_str().unwrap_or("?");
            wire::error!(
                NAME,
                "cannot write the exit file in {dir}: {error}; is it a directory we may write to?"
            );
        }
    }
}

fn exit_file(key: Key, dir: &CStr, name: &CStr, status: i32) -> Result<(), Errno> {
    use core::fmt::Write;
    let mut text = Text::new();
    let mut temporary = heapless::Vec::<u8, 96>::new();
    let mut temporary_name = Text::new();
    let pid = rustix::process::getpid().as_raw_nonzero();
    write!(text, "{status}").map_err(|_| Errno::OVERFLOW)?;
    write!(temporary_name, ".exit-{pid}-{}\0", key.0).map_err(|_| Errno::OVERFLOW)?;
    temporary.extend_from_slice(temporary_name.as_bytes()).map_err(|_| Errno::OVERFLOW)?;
    let temporary = CStr::from_bytes_with_nul(&temporary).map_err(|_| Errno::INVAL)?;

    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = match rustix::fs::openat(&dir, temporary, flags, mode) {
        // Left over from a hub that was killed and had our pid.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(&dir, temporary, AtFlags::empty())?;
            rustix::fs::openat(&dir, temporary, flags, mode)?
        }
        other => other?,
    };
    let done = match rustix::io::write(&file, text.as_bytes()) {
        Ok(count) if count == text.len() => rustix::fs::renameat(&dir, temporary, &dir, name),
        Ok(_) => Err(Errno::NOSPC),
        Err(error) => Err(error),
    };
    if done.is_err() {
        let _ = rustix::fs::unlinkat(&dir, temporary, AtFlags::empty());
    }
    done
}

/// Makes `<persist-dir>/oom` and `<bundle>/oom`, and those of a pod's container,
/// empty: memory has run out. Files that are there already say the same.
pub(crate) fn oom_files(fields: Fields<'_>) {
    let dirs = [Tag::PersistDir, Tag::Bundle].into_iter().filter_map(|tag| fields.string(tag));
    let more = fields.strings(Tag::OomFolder).zip(fields.strings(Tag::OomName));
    for (dir, name) in dirs.map(|dir| (dir, c"oom")).chain(more) {
        if let Err(error) = oom_file(dir, name) {
            let (dir, name) = (dir.to_str().unwrap_or("?"), name.to_str().unwrap_or("?"));
            wire::error!(NAME, "cannot make {dir}/{name}: {error}; may we write there?");
        }
    }
}

fn oom_file(dir: &CStr, name: &CStr) -> Result<(), Errno> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())?;
    // NONBLOCK: not even a FIFO of that name makes us wait.
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    rustix::fs::openat(&dir, name, flags, mode).map(drop)
}

/// Answers the engine's sync pipe with the status, for an exec session. One
/// write, one message. Nobody reading it any more is no error.
pub(crate) fn sync(container: &Container, fields: Fields<'_>) {
    use core::fmt::Write;
    let Some(key) = fields.string(Tag::SyncKey).and_then(|key| key.to_str().ok()) else {
        return;
    };
    let Some(pipe) = &container.sync else { return };
    let mut text = Text::new();
    let status = container.status;
    let written = if container.timed_out {
        // CRI-O matches on this text.
        writeln!(text, "{{\"{key}\": {status}, \"message\": \"command timed out\"}}")
    } else {
        writeln!(text, "{{\"{key}\": {status}}}")
    };
    if written.is_ok() {
        match wire::answer(pipe, text.as_bytes()) {
            Ok(()) | Err(Errno::PIPE) => {}
            Err(error) => wire::error!(NAME, "cannot tell the engine the exit status: {error}"),
        }
    }
}

/// Removes what is named by a path in the record, if it is still there.
pub(crate) fn unlink(fields: Fields<'_>, tag: Tag) {
    if let Some(path) = fields.string(tag) {
        let _ = rustix::fs::unlink(path);
    }
}

/// Undoes what the namespaces of a pod were bound to: they go when nobody is
/// in them any more.
pub(crate) fn namespaces(fields: Fields<'_>) {
    for file in fields.strings(Tag::NamespaceFile) {
        wire::sys::unmount_all(file);
        let _ = rustix::fs::unlink(file);
    }
    unlink(fields, Tag::PausePidFile);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use wire::record::Encoder;

    #[test]
    fn exit_files_hold_the_bare_number_and_leave_no_temporary_file() {
        let dir = std::env::temp_dir().join(format!("conmote-publish-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut bytes = Vec::new();
        Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece))
            .string(Tag::Cid, b"some-id")
            .string(Tag::ExitDir, dir.as_os_str().as_bytes())
            .string(Tag::PersistDir, b"/does/not/exist");
        exit_files(Key(3), Fields::new(&bytes).unwrap(), 137);
        assert_eq!(std::fs::read(dir.join("some-id")).unwrap(), b"137");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_pods_exit_and_oom_files_are_all_written_whatever_becomes_of_one() {
        let dir = std::env::temp_dir().join(format!("conmote-pod-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        let there = dir.as_os_str().as_bytes();
        for (folder, name) in [(there, "one"), (b"/does/not/exist", "two"), (there, "three")] {
            record.string(Tag::ExitFolder, folder).string(Tag::ExitName, name.as_bytes());
            record.string(Tag::OomFolder, folder);
            record.string(Tag::OomName, format!("oom-{name}").as_bytes());
        }
        let fields = Fields::new(&bytes).unwrap();
        oom_files(fields);
        exit_files(Key(3), fields, 7);
        for name in ["one", "three"] {
            assert_eq!(std::fs::read(dir.join(name)).unwrap(), b"7");
            assert_eq!(std::fs::read(dir.join(format!("oom-{name}"))).unwrap(), b"");
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 4);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn oom_files_are_empty_and_appear_in_both_places() {
        let top = std::env::temp_dir().join(format!("conmote-oom-files-{}", std::process::id()));
        let dirs = ["persist", "bundle"].map(|name| top.join(name));
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        for (dir, tag) in dirs.iter().zip([Tag::PersistDir, Tag::Bundle]) {
            std::fs::create_dir_all(dir).unwrap();
            record.string(tag, dir.as_os_str().as_bytes());
        }
        for _ in 0..2 {
            oom_files(Fields::new(&bytes).unwrap());
        }
        for dir in &dirs {
            assert_eq!(std::fs::read(dir.join("oom")).unwrap(), b"");
        }
        std::fs::remove_dir_all(&top).unwrap();
    }
}
