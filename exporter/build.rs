//! Makes Rust of `proto/metrics.proto`, the official messages of Prometheus' protobuf exposition (client_model 0.6.2).

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/metrics.proto");
    let files = protox::compile(["metrics.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
