//! Logs to standard error, as text or as one JSON object a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Common, LogFormat};

/// Sets up the process's log; a filter that cannot be read is an error of the command line.
pub fn start(common: &Common) -> Result<(), String> {
    let filter = EnvFilter::try_new(&common.log).map_err(|e| format!("--log: {e}"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match common.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
