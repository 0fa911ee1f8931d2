//! Checks of the host's notification socket.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::options::Options;
use crate::socket::MAX_NAME;

/// The socket to notify, if any.
///
/// # Errors
/// Notifications could never arrive; says why.
pub fn socket(options: &Options) -> Result<Option<PathBuf>, String> {
    let Some(path) = &options.sdnotify_socket else { return Ok(None) };
    match path.as_os_str().as_bytes() {
        b"" | b"@" => {
            Err("--sdnotify-socket is empty; name the host's notification socket".to_owned())
        }
        name if name.len() > MAX_NAME => Err(format!(
            "--sdnotify-socket {} has more than {MAX_NAME} bytes, which no socket's name has",
            path.display()
        )),
        _ if options.exec && options.bundle.is_none() => {
            Err("--sdnotify-socket needs the bundle whose notify directory it is for; \
                 give --bundle"
                .to_owned())
        }
        _ => Ok(Some(path.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(exec: bool, bundle: Option<&str>, name: &str) -> Result<Option<PathBuf>, String> {
        let mut options = Options::parse::<&str>(&[]).unwrap_or_else(|_| unreachable!());
        options.exec = exec;
        options.bundle = bundle.map(PathBuf::from);
        options.sdnotify_socket = Some(name.into());
        socket(&options)
    }

    #[test]
    fn a_name_that_fits_an_address_is_taken_as_it_is() {
        let longest = "/".repeat(MAX_NAME);
        for name in ["/run/systemd/notify", "relative", "@abstract", &longest] {
            assert_eq!(checked(false, None, name), Ok(Some(name.into())));
            assert_eq!(checked(true, Some("/b"), name), Ok(Some(name.into())));
        }
    }

    #[test]
    fn a_name_that_nothing_could_have_is_refused() {
        for name in ["", "@"] {
            assert!(checked(false, None, name).is_err_and(|text| text.contains("is empty")));
        }
        let longer = "/".repeat(MAX_NAME + 1);
        let refused = checked(false, None, &longer);
        assert!(refused.is_err_and(|text| text.contains("more than 107 bytes")));
    }

    #[test]
    fn an_exec_session_without_a_bundle_has_no_place_for_it() {
        let refused = checked(true, None, "/run/systemd/notify");
        assert!(refused.is_err_and(|text| text.ends_with("give --bundle")));
    }
}
