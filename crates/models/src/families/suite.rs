//! The tests that every family passes, on the built-in digits and without HTTP. A new family is covered
//! by its line in [`table`].

mod answers;
mod freezing;
mod layers;
mod learning;
mod onnx;
mod settled;
mod start;
mod table;
mod trial;

use std::error::Error;

type Tried = Result<(), Box<dyn Error>>;
