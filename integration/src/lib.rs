//! Live tests with real peers, captured cases, benchmarks.
