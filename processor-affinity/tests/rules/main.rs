//! The rules of affinity as ladders: what is stated, and what is told of it.

mod bounds;
mod findings;
mod learning;
mod random;
mod scene;
