//! Tells the linker where libtorch lies at run time, so that nobody needs `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    println!("cargo::rerun-if-changed=migrations");
    // The line tables of every dependency would make the binary several times as large.
    println!("cargo::rustc-link-arg-bins=-Wl,--strip-debug");
    // torch-sys declares `links = "tch"` and publishes the folder it linked against.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // `$ORIGIN/lib` first: in a container the libraries lie beside the binary.
        println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/lib:{lib}");
    }
}
