//! The command line.

use std::process::ExitCode;

use clap::Parser;
use latentd::app;
use latentd::config::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => app::serve(&options),
        Command::Work(options) => app::work(&options),
        Command::Openapi => app::print_openapi(),
        Command::Health { listen } => app::health(listen),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latentd: {error}");
            ExitCode::FAILURE
        }
    }
}
