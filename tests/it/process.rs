//! Processes as the kernel sees them: children, signals, memory.

use std::fs;
use std::process::Command;

/// The training workers that this service has started.
pub fn workers_of(service: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent(pid) == Some(service) && is_worker(pid))
        .collect()
}

fn is_worker(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains("\0work\0--once")
}

fn parent(pid: u32) -> Option<u32> {
    number(pid, "PPid:").and_then(|n| u32::try_from(n).ok())
}

/// The greatest resident memory that the process has ever had, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    number(pid, "VmHWM:").expect("the process runs") * 1024
}

/// Its resident memory now, in bytes.
pub fn memory(pid: u32) -> u64 {
    number(pid, "VmRSS:").expect("the process runs") * 1024
}

/// The part of it that is no file's: what it allocated.
pub fn own_memory(pid: u32) -> u64 {
    number(pid, "RssAnon:").expect("the process runs") * 1024
}

/// How many files it has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn number(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Sends a signal, by the shell's own `kill`.
pub fn signal(pid: u32, name: &str) -> bool {
    let kill = format!("kill -{name} {pid}");
    Command::new("sh")
        .args(["-c", &kill])
        .status()
        .is_ok_and(|status| status.success())
}
