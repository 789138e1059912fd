//! Compiles the kernel side (`../ebpf`) with clang; the objects are embedded in the crate.

#[path = "../ebpf/compile.rs"]
mod compile;

fn main() {
    // What the verifier accepts from a process without CAP_PERFMON, with fully unrolled loops.
    compile::programs(&["capture", "tls"], "-mcpu=v2");
}
