//! The scripts behind `make`, run with a PATH that holds nothing but stand-ins and a few plain tools.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PLAIN_TOOLS: [&str; 15] = [
    "awk", "bash", "cat", "chmod", "dirname", "env", "head", "mkdir", "mktemp", "rm", "sed", "sh", "sort", "tee", "wc",
];

/// A directory that is the whole PATH of a script, with a home below it.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scripts").join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("bin")).expect("a directory for the test");
        let machine = Self { root };
        for tool in PLAIN_TOOLS {
            let real = ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.exists());
            symlink(real.unwrap_or_else(|| panic!("{tool} is missing")), machine.root.join("bin").join(tool))
                .expect("a link to a tool");
        }
        machine
    }

    /// A stand-in for a program; `log` in `script` is where it may say that it ran.
    fn has(self, name: &str, script: &str) -> Self {
        self.write(&format!("bin/{name}"), script);
        self
    }

    fn has_cargo(self, version: &str) -> Self {
        self.has("cargo", &cargo(version))
    }

    fn write(&self, path: &str, script: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        // A new file, never through a link: behind one of those is a tool of this machine.
        let _ = fs::remove_file(&path);
        let mut file = File::create_new(&path).expect("a script");
        write!(file, "#!/bin/bash\nlog={}/log\n{script}\n", self.root.display()).expect("a script");
        drop(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable script");
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        Command::new("/bin/bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(script))
            .args(arguments)
            .env_clear()
            .env("PATH", self.root.join("bin"))
            .env("HOME", &self.root)
            .env("CARGO_HOME", self.root.join("cargo"))
            .output()
            .expect("bash runs")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }
}

fn cargo(version: &str) -> String {
    format!("echo 'cargo {version} (stand-in)'")
}

/// A `curl` that fetches an installer, which brings a cargo of this version.
fn curl_with_installer(version: &str) -> String {
    format!(
        r##"echo "curl $*" >> $log
while [ $# -gt 1 ]; do [ "$1" = --output ] && target=$2; shift; done
cat > "$target" <<'INSTALLER'
mkdir -p "$CARGO_HOME/bin"
printf '#!/bin/bash\necho "cargo {version} (stand-in)"\n' > "$CARGO_HOME/bin/cargo"
chmod 755 "$CARGO_HOME/bin/cargo"
INSTALLER"##
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_cargo_new_enough_is_used_as_it_is() {
    for version in ["1.95.0", "1.95.1", "1.100.0", "2.0.0"] {
        let machine = Machine::new(&format!("new-{version}")).has_cargo(version).has("curl", "echo curl >> $log");
        let output = machine.run("ensure-rust.sh", &["cargo", "--version"]);
        assert_eq!(text(&output.stdout), format!("cargo {version} (stand-in)\n"));
        assert_eq!((output.status.code(), machine.log().as_str()), (Some(0), ""));
    }
}

#[test]
fn an_old_cargo_is_replaced_by_rustup() {
    let machine = Machine::new("old").has_cargo("1.63.0").has("curl", &curl_with_installer("1.95.0"));
    let output = machine.run("ensure-rust.sh", &["cargo", "--version"]);
    assert_eq!(text(&output.stdout), "cargo 1.95.0 (stand-in)\n", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("only 1.63.0 is here"), "{}", text(&output.stderr));
    assert!(machine.log().contains("/rustup/rustup-init.sh"));
}

#[test]
fn a_missing_cargo_is_installed_once() {
    let machine = Machine::new("missing").has("curl", &curl_with_installer("1.95.0"));
    for _ in 0..2 {
        let output = machine.run("ensure-rust.sh", &["cargo", "--version"]);
        assert_eq!(text(&output.stdout), "cargo 1.95.0 (stand-in)\n", "{}", text(&output.stderr));
    }
    assert_eq!(machine.log().lines().count(), 1, "the second run finds it in CARGO_HOME");
}

#[test]
fn a_rustup_that_is_there_brings_the_toolchain() {
    let rustup = format!(
        "echo \"rustup $*\" >> $log\nmkdir -p \"$CARGO_HOME/bin\"\nprintf '#!/bin/bash\\n%s\\n' \"{}\" > \"$CARGO_HOME/bin/cargo\"\nchmod 755 \"$CARGO_HOME/bin/cargo\"",
        cargo("1.95.0")
    );
    let machine = Machine::new("rustup").has_cargo("1.63.0").has("rustup", &rustup).has("curl", "echo curl >> $log");
    let output = machine.run("ensure-rust.sh", &["cargo", "--version"]);
    assert_eq!(text(&output.stdout), "cargo 1.95.0 (stand-in)\n", "{}", text(&output.stderr));
    assert!(machine.log().starts_with("rustup toolchain install 1."), "{}", machine.log());
    assert!(!machine.log().contains("curl"));
}

#[test]
fn a_rustup_that_brings_too_little_is_an_error() {
    let machine = Machine::new("too-little").has("curl", &curl_with_installer("1.90.0"));
    let output = machine.run("ensure-rust.sh", &["cargo", "--version"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("1.90.0, which is still older"), "{}", text(&output.stderr));
}

/// A machine that has every program the install script asks for, but for `missing`.
fn machine_without(missing: &[&str]) -> Machine {
    let programs = [
        "clang",
        "llvm-strip",
        "cc",
        "curl",
        "sipp",
        "kamailio",
        "openssl",
        "python3",
        "prometheus",
        "victoria-metrics",
        "tshark",
        "tmux",
        "baresip",
        "rtpengine",
        "nft",
        "iptables",
        "conntrack",
        "tcpdump",
        "ethtool",
        "ip",
        "setpriv",
        "chromium",
        "node",
        "npm",
    ];
    let name = format!("without-{}", missing.join("-"));
    let machine = Machine::new(&name).has("apt-get", "echo \"apt-get $*\" >> $log").has("id", "echo 0");
    programs
        .iter()
        .filter(|program| !missing.contains(program))
        .fold(machine, |machine, program| machine.has(program, ""))
}

#[test]
fn nothing_is_installed_and_nothing_said_where_all_is_there() {
    let machine = machine_without(&[]).has_cargo("2.0.0");
    let output = machine.run("install-deps.sh", &["unit"]);
    assert_eq!((output.status.code(), machine.log().as_str()), (Some(0), ""), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(machine.run("install-deps.sh", &["run", "test"]).status.code(), Some(0));
    assert_eq!(machine.log(), "");
}

#[test]
fn what_is_missing_is_said_before_it_is_installed() {
    let says = "echo \"apt-get $*\" >&2";
    let machine = machine_without(&["sipp", "clang"]).has("apt-get", says).has("sudo", "\"$@\"").has("id", "echo 1000");
    let output = machine.run("install-deps.sh", &["run", "test"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let (before, after) = said.split_once("apt-get --quiet").expect("it is installed");
    for word in [
        "clang: the eBPF program",
        "sip-tester: SIP callers",
        "Rust, by rustup",
        "by sudo",
        "minutes",
        "GB below target/",
    ] {
        assert!(before.contains(word), "{word}: {said}");
    }
    assert!(
        !before.contains("kamailio:") && after.contains("install --no-install-recommends clang sip-tester"),
        "{said}"
    );
}

#[test]
fn a_missing_rust_alone_is_said_and_left_to_who_installs_it() {
    let machine = machine_without(&["npm"]).has_cargo("1.63.0");
    let output = machine.run("install-deps.sh", &["unit"]);
    assert_eq!((output.status.code(), machine.log().as_str()), (Some(0), ""));
    assert!(text(&output.stderr).contains("Rust, by rustup"), "{}", text(&output.stderr));
    assert_eq!(machine.run("ensure-rust.sh", &["--check"]).status.code(), Some(1));
}

/// Runs the tests by a stand-in for cargo that prints and does as told.
fn tests_by(name: &str, cargo: &str) -> (Option<i32>, String) {
    let machine = Machine::new(name).has("tests", cargo);
    let skipped = machine.root.join("skipped").display().to_string();
    let output = machine.run("test.sh", &[&skipped, "tests", &skipped]);
    (output.status.code(), text(&output.stdout))
}

#[test]
fn the_end_of_the_tests_tells_each_that_was_skipped_once_and_counts_them() {
    let (status, said) = tests_by(
        "tests",
        "echo 'test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured'\n\
         echo 'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured'\n\
         printf 'b: no root\\na: no browser\\nb: no root\\n' > \"$1\"",
    );
    let end = "\n2 tests were skipped:\n  a: no browser\n  b: no root\n\n8 passed, 0 failed, 3 skipped\n";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(status, Some(0));
}

#[test]
fn tests_that_could_not_be_built_are_no_success() {
    let (status, said) = tests_by("unbuilt", "echo 'error: could not compile'; exit 101");
    assert!(said.contains("not all could be built") && said.ends_with("\n0 passed, 0 failed, 0 skipped\n"), "{said}");
    assert_eq!(status, Some(101));
    let (status, said) = tests_by("failing", "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101");
    assert!(said.ends_with("\n1 passed, 2 failed, 0 skipped\n") && !said.contains("built"), "{said}");
    assert_eq!(status, Some(101));
}

#[test]
fn only_what_is_missing_and_asked_for_is_installed() {
    let machine = machine_without(&["clang", "sipp"]);
    let output = machine.run("install-deps.sh", &["run"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        machine.log(),
        "apt-get --quiet --yes update\napt-get --quiet --yes install --no-install-recommends clang\n"
    );
}

#[test]
fn without_root_and_sudo_the_command_is_named() {
    let machine = machine_without(&["sipp"]).has("id", "echo 1000");
    let output = machine.run("install-deps.sh", &["test"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("apt-get install sip-tester"), "{}", text(&output.stderr));
}
