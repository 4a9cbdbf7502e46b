//! Threads that stay, for work on blocks of rows.
//!
//! libtorch's own wait for each other after every layer; a thread that shares its core with a connection then
//! holds up all. Here a block is taken whenever a thread is free, and the thread that hands out takes blocks
//! itself: none waits for another to wake up.

use std::cell::OnceCell;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

thread_local! {
    /// Of the thread that hands out, which is one of them.
    static CREW: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
}

/// Does `work` for each block of `from` and the block of `to` in the same place; with `shared` by as many
/// threads as libtorch may use in this one when it is first asked.
pub fn in_blocks(
    (from, read): (&[f32], usize),
    (to, written): (&mut [f32], usize),
    shared: bool,
    work: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    let one_by_one = |to: &mut [f32]| {
        for (from, to) in from.chunks(read).zip(to.chunks_mut(written)) {
            work(from, to);
        }
    };
    if !shared || tch::get_num_threads() < 2 {
        return one_by_one(to);
    }
    CREW.with(|crew| match crew.get_or_init(hire) {
        Some(crew) => crew.install(|| {
            from.par_chunks(read)
                .zip(to.par_chunks_mut(written))
                // The last to be done are waited for: the less each is, the better.
                .with_max_len(1)
                .for_each(|(from, to)| work(from, to));
        }),
        None => one_by_one(to),
    });
}

/// None where threads cannot be had.
fn hire() -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(usize::try_from(tch::get_num_threads()).unwrap_or(1))
        .use_current_thread()
        .thread_name(|i| format!("rows-{i}"))
        .build()
        .ok()
}
