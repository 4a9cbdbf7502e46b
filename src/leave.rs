//! The end of a process, past the destructors of native libraries.

#![expect(unsafe_code, reason = "`_exit` is not in the standard library")]

use std::io::Write;

/// Ends the process at once.
///
/// `std::process::exit`, and a `main` that returns, first destroy libtorch's global state while other
/// threads may still compute with it; what those then do ranges from a panic to a crash. Nothing here
/// relies on such destructors: files are synced before rows name them, and SQLite is durable.
pub fn leave(status: u8) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: `_exit` may be called from any thread at any time, and does not return.
    unsafe { libc::_exit(i32::from(status)) }
}
