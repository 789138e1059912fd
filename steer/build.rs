//! Compiles the steering programs (`../ebpf/steer`) with clang; the object is embedded in the crate.

#[path = "../ebpf/compile.rs"]
mod compile;

fn main() {
    // Known to every kernel that has what the programs need (Linux 5.17).
    compile::programs(&["steer"], "-mcpu=v3");
}
