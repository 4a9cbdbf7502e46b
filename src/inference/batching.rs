//! Batching: compatible calls of one model are joined, computed as one call, and the reply is cut apart.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tch::Device;

use crate::nn::cancellation::Cancelled;
use crate::nn::model::DataFacts;
use crate::panics::panic_text;
use crate::verbs::Model;
use crate::verbs::call::{Call, CallError, Field, Input, Reply};

/// The reply to each call, in order, and the time that the model took. An invalid call gets an error of its own and
/// does not affect the others.
pub(super) fn run(
    calls: &[&Call],
    model: &dyn Model,
    facts: &DataFacts,
    device: Device,
) -> (Vec<Result<Reply, CallError>>, Duration) {
    let mut took = Duration::ZERO;
    let mut compute = |call: &Call| {
        let start = Instant::now();
        let reply = run_one(call, model, facts, device);
        took += start.elapsed();
        reply
    };
    if let [call] = calls {
        let reply = compute(call);
        return (vec![reply], took);
    }
    let mut replies: Vec<Option<Result<Reply, CallError>>> = calls
        .iter()
        .map(|call| call.check(model, facts, device).err().map(Err))
        .collect();
    let sound: Vec<usize> = (0..calls.len()).filter(|&i| replies[i].is_none()).collect();
    if let Some(&first) = sound.first() {
        let together: Vec<&Call> = sound.iter().map(|&i| calls[i]).collect();
        match compute(&joined(&together)) {
            Ok(reply) => {
                let mut start = 0;
                for &i in &sound {
                    let rows = calls[i].input.rows;
                    replies[i] = Some(Ok(slice_rows(&reply, start, rows)));
                    start += rows;
                }
            }
            // One of them may be at fault: each is computed alone.
            Err(_) if sound.len() > 1 => {
                for &i in &sound {
                    replies[i] = Some(compute(calls[i]));
                }
            }
            Err(error) => replies[first] = Some(Err(error)),
        }
    }
    let replies = replies.into_iter();
    let replies = replies.map(|reply| reply.unwrap_or(Err(CallError::Closed)));
    (replies.collect(), took)
}

/// libtorch reports errors by panicking, which must not end the thread.
fn run_one(
    call: &Call,
    model: &dyn Model,
    facts: &DataFacts,
    device: Device,
) -> Result<Reply, CallError> {
    catch_unwind(AssertUnwindSafe(|| call.apply(model, facts, device))).unwrap_or_else(|panic| {
        Err(if panic.is::<Cancelled>() {
            CallError::Late
        } else {
            CallError::Failed(panic_text(panic.as_ref()))
        })
    })
}

/// One call with the rows of all. Labels become those of the rows, one each.
fn joined(calls: &[&Call]) -> Call {
    let rows = calls.iter().map(|call| call.input.rows).sum();
    let mut values = Vec::with_capacity(calls.iter().map(|call| call.input.values.len()).sum());
    let mut labels = Some(Vec::new());
    for call in calls {
        values.extend_from_slice(&call.input.values);
        match (call.labels().map(Vec::as_slice), &mut labels) {
            (Some([one]), Some(all)) => all.resize(all.len() + call.input.rows, *one),
            (Some(own), Some(all)) => all.extend_from_slice(own),
            _ => labels = None,
        }
    }
    Call {
        options: calls[0].options.clone(),
        labels: None,
        input: Input {
            rows,
            values,
            labels,
        },
    }
}

/// Rows `start..start + rows` of a reply.
fn slice_rows(reply: &Reply, start: usize, rows: usize) -> Reply {
    let cut = |field: &Field| {
        let width = field.values.len() / reply.rows.max(1);
        Field {
            name: field.name,
            shape: field.shape.clone(),
            values: field.values[start * width..(start + rows) * width].to_vec(),
        }
    };
    Reply {
        rows,
        output: cut(&reply.output),
        extras: reply.extras.iter().map(cut).collect(),
        seed: reply.seed,
        labels: reply
            .labels
            .as_ref()
            .map(|labels| labels[start..start + rows].to_vec()),
        metric: reply.metric,
        timing: reply.timing,
    }
}
