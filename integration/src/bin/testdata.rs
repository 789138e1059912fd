//! `cargo run -p integration --bin testdata`: writes the test data of our own making anew, below `testdata/`.

use std::fs;
use std::io;

use integration::testdata::{FOLDERS, made, present, root};

fn main() -> io::Result<()> {
    let files = made();
    for folder in FOLDERS {
        fs::create_dir_all(root().join(folder))?;
        // What is made no more goes.
        for name in present(folder)? {
            fs::remove_file(root().join(folder).join(name))?;
        }
    }
    for file in &files {
        fs::write(root().join(&file.path), &file.bytes)?;
    }
    println!("{} files, {} bytes", files.len(), files.iter().map(|file| file.bytes.len()).sum::<usize>());
    Ok(())
}
