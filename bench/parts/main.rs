//! What each piece of code that is there for speed gains over the plain form, as a table: `make bench-parts`.
//!
//! Both sides run in this process by turns, so that what else the machine does falls on both. A figure is
//! the median of 21 turns of at least 10 ms each; the ratio is the plain form's time by ours, above 1
//! where ours is faster. Words on the command line choose parts: `make bench-parts ONLY="json linear"`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints what it finds, and one that fails panics"
)]

mod contrastive;
mod json;
mod likelihood;
mod linear;
mod lookups;
mod sampling;

use std::time::{Duration, Instant};

const TURNS: usize = 21;
const TURN: Duration = Duration::from_millis(10);

/// A way to do the work, by its name.
pub struct Side<'a>(pub &'static str, pub Box<dyn FnMut() + 'a>);

impl<'a> Side<'a> {
    /// What `work` returns is kept from being optimised away.
    pub fn new<T>(name: &'static str, mut work: impl FnMut() -> T + 'a) -> Self {
        Self(name, Box::new(move || drop(std::hint::black_box(work()))))
    }

    /// Seconds for one of `times`.
    fn time(&mut self, times: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..times {
            (self.1)();
        }
        start.elapsed().as_secs_f64() / f64::from(times)
    }

    /// How many fill a turn; it warms up, too.
    fn calls_in_a_turn(&mut self) -> u32 {
        let mut times = 1;
        while self.time(times) * f64::from(times) < TURN.as_secs_f64() {
            times *= 2;
        }
        times
    }
}

/// Measures the first side, ours, beside the others, and prints a row for each of these.
pub fn compare(what: &str, mut sides: Vec<Side<'_>>) {
    let calls: Vec<u32> = sides.iter_mut().map(Side::calls_in_a_turn).collect();
    let mut times = vec![Vec::new(); sides.len()];
    for _ in 0..TURNS {
        for (i, side) in sides.iter_mut().enumerate() {
            times[i].push(side.time(calls[i]));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let micros = |seconds: f64| seconds * 1e6;
    for (side, &plain) in sides.iter().zip(&medians).skip(1) {
        let (ours, ratio) = (medians[0], plain / medians[0]);
        println!(
            "{what:<38} {:>10.1} us   {:<20} {:>10.1} us   {ratio:>6.2}",
            micros(ours),
            side.0,
            micros(plain),
        );
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let parts: [(&str, fn()); 6] = [
        ("json", json::measure),
        ("linear", linear::measure),
        ("likelihood", likelihood::measure),
        ("contrastive", contrastive::measure),
        ("lookups", lookups::measure),
        ("sampling", sampling::measure),
    ];
    let threads = tch::get_num_threads();
    println!("{threads} threads\n");
    println!(
        "{:<38} {:>13}   {:<20} {:>13}   {:>6}",
        "part", "ours", "beside", "", "ratio"
    );
    for (name, measure) in parts {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            tch::no_grad(measure);
        }
    }
}
