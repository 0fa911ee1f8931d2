//! Output of a running command, collected while the test goes on.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::wait;

/// What has come out of a pipe so far, collected by a thread.
#[derive(Clone, Default)]
pub(super) struct Stream(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Collects from here until its end.
    pub(super) fn fill_from(&self, mut pipe: File) {
        let stream = self.clone();
        thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            // A terminal whose other end is closed says EIO instead of end of file.
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                stream.change(|collected| {
                    collected.bytes.extend_from_slice(chunk.get(..n).unwrap_or_default())
                });
            }
            stream.close();
        });
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.change(|collected| collected.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Collected)) {
        change(&mut self.0.0.lock().expect("lock collected output"));
        self.0.1.notify_all();
    }

    /// False when the stream ended, or too much time went by, before it held.
    pub(super) fn wait(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.wait_while(
            |collected| !collected.ended && !holds(&collected.bytes),
            |collected| holds(&collected.bytes),
        )
    }

    /// False when too much time went by before the stream ended.
    pub(super) fn wait_for_end(&self) -> bool {
        self.wait_while(|collected| !collected.ended, |collected| collected.ended)
    }

    fn wait_while(
        &self,
        going_on: impl Fn(&Collected) -> bool,
        holds: impl Fn(&Collected) -> bool,
    ) -> bool {
        let guard = self.0.0.lock().expect("lock collected output");
        // Longer than podman may run: whoever still holds its output after that has inherited it by mistake.
        let late = wait::limit() * 7 / 2;
        let waited = self.0.1.wait_timeout_while(guard, late, |collected| going_on(collected));
        waited.is_ok_and(|(guard, _)| holds(&guard))
    }

    /// All that has come so far.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("lock collected output").bytes.clone()
    }
}

/// Whether `text` is in `bytes`; fast enough for the few megabytes of a test.
pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}
