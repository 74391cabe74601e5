//! The key provider: a library that gives the secret through a C function, which it has put into a rendezvous
//! variable. `include/pgseal_key_provider.h` is the contract with it.

use super::error;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgTryBuilder, pg_sys};
use pgseal_chain::MAX_SECRET_BYTES;
use std::ffi::{CStr, CString, c_char, c_int, c_uchar};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use thiserror::Error;
use zeroize::Zeroizing;

const VARIABLE: &CStr = c"pgseal_key_provider";
/// The version of the interface that is spoken here.
pub const VERSION: u32 = 1;
const MAX_NAME_BYTES: usize = 63;
/// Room for a complaint, with its NUL.
const COMPLAINT_BYTES: usize = 512;

type Fetch = unsafe extern "C-unwind" fn(
    key_id: *const c_char,
    purpose: *const c_char,
    secret: *mut c_uchar,
    capacity: usize,
    length: *mut usize,
    complaint: *mut c_char,
    complaint_size: usize,
) -> c_int;

/// `struct pgseal_key_provider`.
#[repr(C)]
struct Registration {
    version: u32,
    name: *const c_char,
    fetch: Option<Fetch>,
}

/// A provider that can be asked.
pub struct KeyProvider {
    name: String,
    fetch: Fetch,
}

/// Why what a library has registered cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    #[error("speaks version {0} of the interface, this pgseal speaks version {VERSION}")]
    Version(u32),
    #[error("has no name of 1 to {MAX_NAME_BYTES} printable ASCII characters that does not begin with \"pgseal.\"")]
    Name,
    #[error("has no function that gives the key")]
    NoFunction,
}

/// Why a provider's function gave no secret.
pub enum NotGiven {
    /// It returned another number than 0, or raised an ERROR, which it must not: `how` says which. The complaint is as
    /// the provider made it, and may repeat what it had written to the place of the secret.
    Failed { how: String, complaint: String, written: Zeroizing<Vec<u8>> },
    /// It returned 0, and a secret that is longer than any may be.
    TooLong(usize),
    /// It returned 0, and left zeros where the secret should be.
    Blank,
}

static REGISTERED: OnceLock<Result<Option<KeyProvider>, Unusable>> = OnceLock::new();

impl KeyProvider {
    /// The provider that a library has registered; `None` if none has. Looks once, in the postmaster when all
    /// libraries are loaded; every process that is forked from it inherits the answer.
    pub fn registered() -> Result<Option<&'static KeyProvider>, Unusable> {
        REGISTERED.get_or_init(look).as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret of a key for a purpose, of whatever length up to [`MAX_SECRET_BYTES`]. Has no limit of time and cannot
    /// be cancelled.
    pub fn fetch(&self, key_id: &str, purpose: &str) -> Result<Zeroizing<Vec<u8>>, NotGiven> {
        let (key_id, purpose) = (c_text(key_id), c_text(purpose));
        let mut secret = Zeroizing::new(vec![0; MAX_SECRET_BYTES]);
        let mut length = 0;
        let mut complaint = Zeroizing::new([0_u8; COMPLAINT_BYTES]);
        let status = uninterrupted(|| {
            // SAFETY: `look` took the function from a registration of this version, so it has this signature; its
            // library is never unloaded. The texts end with a NUL and live until it returns, as do the two buffers,
            // which are as long as it is told and which nobody else uses; it writes to no more than that by contract.
            // Nothing in the guarded closure has a destructor, so an ERROR may jump out of it.
            unsafe {
                pg_guard_ffi_boundary(|| {
                    (self.fetch)(
                        key_id.as_ptr(),
                        purpose.as_ptr(),
                        secret.as_mut_ptr(),
                        MAX_SECRET_BYTES,
                        &mut length,
                        complaint.as_mut_ptr().cast(),
                        COMPLAINT_BYTES,
                    )
                })
            }
        });
        let failure = match status {
            Ok(0) => None,
            Ok(status) => Some((format!("returned {status}"), text_of(complaint.as_slice()))),
            Err(message) => Some(("raised an error".to_owned(), message)),
        };
        if let Some((how, complaint)) = failure {
            let written = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            secret.truncate(written);
            return Err(NotGiven::Failed { how, complaint, written: secret });
        }
        if length > MAX_SECRET_BYTES {
            return Err(NotGiven::TooLong(length));
        }
        secret.truncate(length);
        if length > 0 && secret.iter().all(|byte| *byte == 0) {
            return Err(NotGiven::Blank);
        }
        Ok(secret)
    }
}

fn look() -> Result<Option<KeyProvider>, Unusable> {
    // SAFETY: the server keeps the variable for as long as the process lives, and its content is NULL or, as the
    // header asks, the address of a registration that stays as it is just as long. The version comes first in every
    // version; the rest is read only where it is the one that `Registration` describes, whose name is NULL or a text
    // that ends with a NUL.
    unsafe {
        let registration = (*pg_sys::find_rendezvous_variable(VARIABLE.as_ptr())).cast::<Registration>();
        if registration.is_null() {
            return Ok(None);
        }
        let version = (&raw const (*registration).version).read();
        if version != VERSION {
            return Err(Unusable::Version(version));
        }
        let Registration { name, fetch, .. } = &*registration;
        let name = if name.is_null() { "" } else { CStr::from_ptr(*name).to_str().map_err(|_| Unusable::Name)? };
        let name = Some(name).filter(|name| is_presentable(name)).ok_or(Unusable::Name)?.to_owned();
        let fetch = fetch.ok_or(Unusable::NoFunction)?;
        Ok(Some(KeyProvider { name, fetch }))
    }
}

/// Whether a name can stand in messages and records, and can be taken for no other source.
fn is_presentable(name: &str) -> bool {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let blank = name.trim().is_empty();
    printable && !blank && name.len() <= MAX_NAME_BYTES && !name.starts_with("pgseal.")
}

/// What stands before the first NUL.
fn text_of(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// Runs foreign code with interrupts held back: no cancel, no termination jumps out of it. An ERROR comes back as its
/// message.
fn uninterrupted(call: impl FnOnce() -> c_int) -> Result<c_int, String> {
    // SAFETY: a counter of this process, which has one thread. An ERROR sets it to 0, so it is put back, not counted
    // down.
    let held = unsafe { pg_sys::InterruptHoldoffCount };
    // SAFETY: as above.
    unsafe { pg_sys::InterruptHoldoffCount = held + 1 }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(call())))
        .catch_others(|raised| Err(error::message_of(&raised).to_owned()))
        .execute();
    // SAFETY: as above.
    unsafe { pg_sys::InterruptHoldoffCount = held }
    outcome
}
