//! The command line.

use clap::Parser;
use latentd::app;
use latentd::config::{Cli, Command};
use latentd::leave::leave;

/// Requests allocate much and briefly, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => app::serve(&options),
        Command::Work(options) => app::work(&options),
        Command::Backup { to, place } => app::backup::backup(&place.data_dir, &to),
        Command::Restore { from, place } => app::backup::restore(&from, &place.data_dir),
        Command::Keys { command } => app::keys::run(&command),
        Command::Openapi => app::print_openapi(),
        Command::Health { listen, tls_cert } => app::health(listen, tls_cert.as_deref()),
    };
    leave(match outcome {
        Ok(()) => 0,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "logs may go elsewhere")]
            {
                eprintln!("latentd: {error}");
            }
            1
        }
    })
}
