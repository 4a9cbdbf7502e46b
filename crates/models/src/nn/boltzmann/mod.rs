//! Restricted Boltzmann machines: two layers of units, joined by one weight matrix (Hinton, 2002).
//!
//! `E(v, h) = E_v(v) + E_h(h) - v W h`, where a layer of Bernoulli units adds `-x·b` and one of Gaussian units
//! `½ |x - b|²`; a softmax group of labels may be part of the visible layer.
//!
//! `units` the kinds of units; `machine` the energy, the conditional distributions and the free energy; `labels`
//! the softmax group; `chains` what stands for the model, with `tempering` the swaps between temperatures;
//! `gradient` what training descends, `centring` its centred form, `pretraining` one machine of a stack in
//! training; `stack` machines on top of one another; `path` the way from independent units to a machine, and
//! `partition` its `ln Z`.

pub mod centring;
pub mod chains;
pub mod gradient;
mod labels;
pub mod machine;
pub mod partition;
pub mod path;
pub mod pretraining;
pub mod stack;
mod tempering;
pub mod units;
