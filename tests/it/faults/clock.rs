//! A wall clock that can be set: a few lines of C between the service and the C library, built here.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// `None` without a C compiler.
    pub fn build(folder: &Path) -> Option<Self> {
        let source = folder.join("clock.c");
        std::fs::write(&source, include_str!("clock.c")).expect("a file");
        let clock = Self {
            library: folder.join("clock.so"),
            offset: folder.join("offset"),
        };
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&clock.library)
            .arg(&source)
            .arg("-ldl")
            .status();
        clock.set(0);
        built.is_ok_and(|status| status.success()).then_some(clock)
    }

    /// Seconds by which the service's clock is ahead of ours, from now on.
    pub fn set(&self, seconds: i64) {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.offset)
            .expect("a file");
        file.write_all(&seconds.to_le_bytes()).expect("eight bytes");
    }

    /// What makes a process go by this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("CLOCK_OFFSET_FILE".to_owned(), text(&self.offset)),
        ]
    }
}
