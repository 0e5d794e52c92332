//! A wall clock of its own for one process: what it shows beside the real one can be set while the process runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library that is preloaded, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/support/clock.c");
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock.so");
        // Whoever runs beside this has it whole or not at all.
        let fresh = built.with_extension(std::process::id().to_string());
        let cc = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&fresh, &source])
            .arg("-ldl")
            .status();
        assert!(cc.expect("cc").success(), "clock.c does not compile");
        std::fs::rename(&fresh, &built).expect("rename");
        built
    })
}

/// A clock that one process reads.
pub(crate) struct Clock {
    file: PathBuf,
    words: [String; 3],
}

impl Clock {
    /// One that shows so many seconds more than the real one, or less.
    pub(crate) fn wrong_by(folder: &Path, name: &str, seconds: i64) -> Self {
        let file = folder.join(format!("clock-{name}"));
        let words = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", library().display()),
            format!("CLOCK_OFFSET={}", file.display()),
        ];
        let clock = Self { file, words };
        clock.jump_to(seconds);
        clock
    }

    pub(crate) fn jump_to(&self, seconds: i64) {
        // Replaced in one step: a reader never sees half of it.
        let next = self.file.with_extension("next");
        std::fs::write(&next, seconds.to_string()).expect("write");
        std::fs::rename(&next, &self.file).expect("rename");
    }

    /// What a process is started through that shall have this clock.
    pub(crate) fn through(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}
