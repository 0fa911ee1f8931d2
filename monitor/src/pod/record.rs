//! The record of a pod's container or exec session: what the hub and the roles
//! are told.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use wire::record::{Encoder, Tag};

use super::logs::Logs;
use super::settings::Settings;
use super::types::CreateContainerRequest;
use crate::oom::Watch;

/// Encodes what outlives the creation of a container.
pub fn container(
    settings: &Settings,
    request: &CreateContainerRequest,
    logs: &Logs,
    oom: Option<&Watch>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    record.string(Tag::Cid, request.id.as_bytes());
    record.number(Tag::AttachDone, 1);
    for path in &request.exit_paths {
        place(&mut record, path, Tag::ExitFolder, Tag::ExitName);
    }
    if let Some(oom) = oom {
        for path in &request.oom_exit_paths {
            place(&mut record, path, Tag::OomFolder, Tag::OomName);
        }
        oom.encode(&mut record);
    }
    if let Some((program, args)) = request.cleanup_cmd.split_first() {
        record.string(Tag::ExitCommand, search(program).as_os_str().as_bytes());
        for arg in args {
            record.string(Tag::ExitCommandArg, arg.as_bytes());
        }
        if let Some(score) = &settings.oom_score_adj {
            record.string(Tag::OomScoreAdj, score.as_bytes());
        }
    }
    logs.encode(&request.id, &mut record);
    bytes
}

/// Encodes what is to be done with the words of a runtime that has failed:
/// they go to the logs of the container that it did not make.
pub fn last_words(id: &str, logs: &Logs) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    logs.encode(id, &mut record);
    bytes
}

/// The key of an exec session's status on its pipe.
pub const STATUS: &str = "exit";

/// Encodes what the hub needs to know of an exec session.
pub fn exec(id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece))
        .string(Tag::Cid, id.as_bytes())
        .string(Tag::SyncKey, STATUS.as_bytes());
    bytes
}

/// A path, as the folder and the name that the hub wants.
fn place<Put: FnMut(&[u8])>(record: &mut Encoder<Put>, path: &str, folder: Tag, name: Tag) {
    let whole = Path::new(path);
    let Some(last) = whole.file_name() else {
        log::warn!("'{path}' names no file, so none is written");
        return;
    };
    let parent = whole.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    record.string(folder, parent.as_os_str().as_bytes()).string(name, last.as_bytes());
}

/// Where a program is, as execvp(3) would find it. As it is, if it is nowhere:
/// the hub will say so.
fn search(program: &str) -> PathBuf {
    if program.contains('/') {
        return program.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| {
        rustix::fs::access(path.as_os_str().as_bytes(), rustix::fs::Access::EXEC_OK).is_ok()
    });
    found.unwrap_or_else(|| program.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pod::settings::tests::example;
    use wire::record::Fields;

    fn strings(bytes: &[u8], tag: Tag) -> Vec<String> {
        let fields = Fields::new(bytes).unwrap();
        fields.strings(tag).map(|text| text.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn exit_files_keep_their_order_and_what_names_no_file_is_left_out() {
        let exit_paths = ["/a/one", "two", "/", "..", "b/three"].map(String::from).to_vec();
        let request = CreateContainerRequest {
            id: "abc".into(),
            exit_paths,
            oom_exit_paths: vec!["/oom".into()],
            ..CreateContainerRequest::default()
        };
        let bytes = container(&example(), &request, &Logs::default(), None);
        assert_eq!(strings(&bytes, Tag::ExitFolder), ["/a", ".", "b"]);
        assert_eq!(strings(&bytes, Tag::ExitName), ["one", "two", "three"]);
        assert!(strings(&bytes, Tag::OomFolder).is_empty(), "nobody counts kills");
        assert!(strings(&bytes, Tag::ExitCommand).is_empty());
    }

    #[test]
    fn a_cleanup_command_is_searched_for_as_a_shell_would() {
        let cleanup_cmd = ["sh", "-c", ""].map(String::from).to_vec();
        let request = CreateContainerRequest { cleanup_cmd, ..CreateContainerRequest::default() };
        let bytes = container(&example(), &request, &Logs::default(), None);
        let program = strings(&bytes, Tag::ExitCommand);
        assert!(program[0].starts_with('/') && program[0].ends_with("/sh"), "{program:?}");
        assert_eq!(strings(&bytes, Tag::ExitCommandArg), ["-c", ""]);
        assert_eq!(strings(&bytes, Tag::OomScoreAdj), ["0"]);
        assert_eq!(search("no-such-program-anywhere"), Path::new("no-such-program-anywhere"));
        assert_eq!(search("./x"), Path::new("./x"));
    }
}
