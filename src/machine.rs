//! What the machine offers: cores and GPUs, memory and disk, open files.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::artifacts::room;

/// tch 0.26 is bound to this one; another one does not link.
pub const LIBTORCH: &str = "2.13.0";

/// The processors that a job can ask for.
#[derive(Debug, Clone, Copy)]
pub struct MachineInfo {
    pub threads: u32,
    pub cuda_devices: usize,
}

impl MachineInfo {
    /// Asks the system, and libtorch for the GPUs.
    pub fn detect() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: u32::try_from(threads).unwrap_or(1),
            cuda_devices: usize::try_from(tch::Cuda::device_count()).unwrap_or(0),
        }
    }

    /// The device that a job occupies, `cpu` or `cuda:N`, by the `device` of its checked settings.
    pub fn device_slot(&self, device: &str) -> String {
        match device {
            "auto" if self.cuda_devices > 0 => "cuda:0".to_owned(),
            "auto" => "cpu".to_owned(),
            "cuda" => "cuda:0".to_owned(),
            named => named.to_owned(),
        }
    }
}

/// How many files may be open at once, once the process has let itself have what the system lets it.
pub fn open_files() -> u64 {
    /// Enough for what is done here.
    const WANTED: u64 = 65_536;
    let mut limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let before = limit.current.unwrap_or(u64::MAX);
    let wanted = hard.min(WANTED);
    if before >= wanted {
        return before;
    }
    limit.current = Some(wanted);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => wanted,
        Err(_) => before,
    }
}

/// Of the C library's allocator, which libtorch uses: memory that one thread frees is then there for others.
#[cfg(target_env = "gnu")]
pub fn use_few_arenas() {
    const ARENAS: i32 = 4;
    // SAFETY: it sets a number that the allocator looks at when a thread asks for an arena.
    #[expect(unsafe_code, reason = "a setting of the C library")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

#[cfg(not(target_env = "gnu"))]
pub fn use_few_arenas() {}

/// Memory and disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Of the whole machine or container; `None` where that cannot be told.
    pub memory: Option<u64>,
    /// Free where the data directory is.
    pub disk: Option<u64>,
}

/// What a job can have here; the data directory's disk is looked at anew each time.
pub fn capacity(data_dir: &Path) -> Capacity {
    Capacity {
        memory: memory(),
        disk: room::free(data_dir),
    }
}

/// Memory of the machine or, where that is less, of the container, in bytes.
fn memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_of(&text));
    // cgroup v2, then v1; "max" and v1's huge number mean no limit.
    let container = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    match (machine, container) {
        (Some(machine), Some(container)) => Some(u64::min(machine, container)),
        (one, other) => one.or(other),
    }
}

/// The line `MemTotal:  24000000 kB` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_text() {
        let text = "MemTotal:       24612345 kB\nMemFree:        1 kB\n";
        assert_eq!(total_of(text), Some(24_612_345 * 1024));
        assert_eq!(total_of("nothing"), None);
    }

    #[test]
    fn there_is_some_memory_and_disk_here() {
        let capacity = capacity(Path::new("."));
        assert!(
            capacity.memory > Some(64 << 20) && capacity.disk.is_some(),
            "{capacity:?}"
        );
    }
}
