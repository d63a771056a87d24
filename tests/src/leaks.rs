//! What a run may have left on the machine.

use std::fs;
use std::time::{Duration, Instant};

/// How long to wait for what must come; only a hang takes that long.
pub(crate) const HANG: Duration = Duration::from_secs(40);

/// A process of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Number, as the test sees it.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Real user.
    pub uid: u32,
    /// Command line, for messages.
    pub command: String,
    environment: Vec<u8>,
    directory: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
        let status = String::from_utf8_lossy(&read("status").ok()?).into_owned();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()
        };
        if matches!(field("State:")?, "Z" | "X") {
            return None;
        }
        let link = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        Some(Self {
            pid,
            parent: field("PPid:")?.parse().ok()?,
            uid: field("Uid:")?.parse().ok()?,
            command: String::from_utf8_lossy(&read("cmdline").unwrap_or_default())
                .replace('\0', " "),
            environment: read("environ").unwrap_or_default(),
            directory: link.to_string_lossy().into_owned(),
        })
    }

    /// Whether its environment or its working directory has this text in it.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.directory.as_bytes().starts_with(text)
            || self.environment.windows(text.len()).any(|window| window == text)
    }
}

/// All processes that are not dead.
pub fn processes() -> Vec<Process> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// The mounts of this thread's namespace, as the kernel writes them.
pub fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
}

/// Waits for a condition that must come true; a hang fails the test with the given words.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HANG, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
