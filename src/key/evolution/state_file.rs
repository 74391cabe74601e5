//! The file that holds the state: private, outside the data directory, replaced as a whole.

use super::fault::EvolutionFault;
use crate::pg::server;
use crate::private_file::{self, PrivateFileError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MAX_BYTES: usize = 16 * 1024;

pub fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, EvolutionFault> {
    let own = || path.to_owned();
    folder(path)?;
    if let Err(error) = fs::symlink_metadata(path)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Err(EvolutionFault::Missing { path: own() });
    }
    private_file::read(path, MAX_BYTES).map_err(|error| match error {
        PrivateFileError::Unreadable(reason) => EvolutionFault::Unreadable { path: own(), reason },
        PrivateFileError::NotAFile => EvolutionFault::NotAFile { path: own() },
        PrivateFileError::Permissive(mode) => EvolutionFault::Permissive { path: own(), mode },
    })
}

/// Puts a new file in the place of the former one; then the former one's content is overwritten. After a crash at any
/// moment one of the two is there, whole.
pub fn write(path: &str, text: &str) -> Result<(), EvolutionFault> {
    let folder = folder(path)?;
    replace(Path::new(path), &folder, text.as_bytes())
        .map_err(|error| EvolutionFault::NotWritten { path: path.to_owned(), reason: error.to_string() })
}

fn replace(path: &Path, folder: &Path, text: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // What a crash left there.
    wipe_and_remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    let former = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        former => Some(former?),
    };
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()?;
    former.map_or(Ok(()), overwrite)
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

fn wipe_and_remove(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => {
            overwrite(file?)?;
            fs::remove_file(path)
        }
    }
}

/// The folder of the file; refused within the data directory, whose backups would have every former state.
fn folder(path: &str) -> Result<PathBuf, EvolutionFault> {
    let own = || path.to_owned();
    let unreadable = |error: io::Error| EvolutionFault::Unreadable { path: own(), reason: error.to_string() };
    let absolute = Path::new(path).is_absolute();
    let parent = Path::new(path).parent().filter(|_| absolute);
    let parent = parent.ok_or_else(|| EvolutionFault::Relative { path: own() })?;
    let folder = parent.canonicalize().map_err(unreadable)?;
    let data = Path::new(&server::data_directory()).canonicalize().map_err(unreadable)?;
    if folder.starts_with(&data) {
        return Err(EvolutionFault::InDataDirectory { path: own() });
    }
    Ok(folder)
}
