//! Which key a starting server fetches: it cannot read what its databases say of that yet. The file is a hint, no
//! secret and no authority: epochs name the key that they need.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// In the data directory, which is the working directory of every process of the server.
const FILE: &str = "pgseal.key_id";

/// Id of the first key.
pub const FIRST: &str = "1";

/// The id that a starting server fetches.
pub fn id() -> String {
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    let kept = kept.trim();
    if super::number(kept).is_some() { kept.to_owned() } else { FIRST.to_owned() }
}

/// Has the next start fetch this one.
///
/// # Errors
///
/// Where the file cannot be written.
pub fn set(id: &str) -> io::Result<()> {
    let next = format!("{FILE}.new");
    let mut file = fs::File::create(&next)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&next, FILE)?;
    fs::File::open(Path::new("."))?.sync_all()
}
