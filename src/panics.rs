//! The text of a panic. libtorch reports its errors by panicking, so they are caught in several places.

/// The first line of a panic's message: libtorch appends a native backtrace.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    text.lines().next().unwrap_or_default().to_owned()
}
