//! Reads a file that holds a secret: a regular one that group and others may not use.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a file was not read; each continues a sentence that names the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrivateFileError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a regular file")]
    NotAFile,
    #[error("has mode {0:04o}: others than its owner can use it")]
    Permissive(u32),
}

/// At most `max` bytes of the file.
pub fn read(path: &str, max: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let unreadable = |error: std::io::Error| PrivateFileError::Unreadable(error.to_string());
    // Opening a named pipe would wait for somebody to write into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(PrivateFileError::NotAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Permissive(mode));
    }
    // Reserved whole, so that no reallocation leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max));
    file.take(max as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
