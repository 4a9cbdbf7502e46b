//! A thread pool for work on blocks of rows.
//!
//! libtorch's own threads wait for each other after every layer, so one that shares its core with a connection holds
//! up all. Here a free thread takes the next block, and the calling thread takes blocks too: none waits for another
//! to wake up. `make bench-parts ONLY=linear` prints what `packed` gains with it.

use std::cell::OnceCell;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

thread_local! {
    /// Of the calling thread, which is one of its threads.
    static POOL: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
}

/// Does `work` for each block of `from` and the block of `to` in the same place. With `shared`, by as many threads as
/// libtorch may use in this one at the first call.
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
    POOL.with(|pool| match pool.get_or_init(build) {
        Some(pool) => pool.install(|| {
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
fn build() -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(usize::try_from(tch::get_num_threads()).unwrap_or(1))
        .use_current_thread()
        .thread_name(|i| format!("rows-{i}"))
        .build()
        .ok()
}
