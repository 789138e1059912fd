//! Compiles programs of this folder with clang: the build script of each crate that embeds some includes this file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// Compiles `NAME/NAME.c` of this folder to `NAME.o` in `OUT_DIR`. `cpu` is the instruction set, `-mcpu=..`.
pub fn programs(names: &[&str], cpu: &str) {
    // Asked for now, not when this script was compiled: a target folder may serve several checkouts.
    let this_crate = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let sources = this_crate.join("../ebpf");
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-env-changed=CLANG");
    println!("cargo::rerun-if-env-changed=LLVM_STRIP");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    for name in names {
        let object = out.join(name).with_extension("o");
        compile(&clang, cpu, &sources.join(name).join(name).with_extension("c"), &object);
        strip_debug_info(&object);
    }
}

/// `-g` is for the map definitions, which are BTF.
fn compile(clang: &str, cpu: &str, source: &Path, object: &Path) {
    let endian = env::var("CARGO_CFG_TARGET_ENDIAN").expect("cargo sets it");
    let target = if endian == "big" { "bpfeb" } else { "bpfel" };
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let status = Command::new(clang)
        .args(["-target", target, cpu, "-O2", "-g", "-Wall", "-Wextra", "-Werror"])
        // Where a probed function finds its arguments.
        .arg(format!("-DRINGSIDE_ARCH_{architecture}"))
        .args(system_includes(clang))
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(object)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => fail(&format!(
            "{clang} could not compile {}. If a header under linux/ or asm/ is missing: apt-get install linux-libc-dev",
            source.display()
        )),
        Err(_) => missing(clang),
    }
}

/// The host's include folders, as the compiler itself lists them: for the target bpf it would leave out the
/// multi-arch one, where Debian keeps `asm/types.h`.
fn system_includes(clang: &str) -> Vec<String> {
    let Ok(output) = Command::new(clang).args(["-E", "-v", "-x", "c", "/dev/null"]).output() else { missing(clang) };
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .skip_while(|line| !line.starts_with("#include <...>"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .flat_map(|folder| ["-idirafter".to_owned(), folder.trim().to_owned()])
        .collect()
}

/// Takes out DWARF, keeps BTF. Only for size: without llvm-strip the object works all the same.
fn strip_debug_info(object: &Path) {
    let strip = env::var("LLVM_STRIP").unwrap_or_else(|_| "llvm-strip".into());
    let stripped = Command::new(&strip).arg("-g").arg(object).status().is_ok_and(|status| status.success());
    if !stripped {
        println!(
            "cargo::warning={strip} is not available: the eBPF program keeps its debug information (apt-get install llvm)"
        );
    }
}

fn missing(clang: &str) -> ! {
    fail(&format!("{clang} was not found. It compiles the eBPF program: apt-get install clang llvm (or set CLANG)"))
}

fn fail(what: &str) -> ! {
    println!("cargo::error={what}");
    exit(1)
}
