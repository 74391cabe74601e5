//! Authentication of pgseal's own records: epochs, cuts, checkpoints, settings.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::entry::{Mac, is_same_mac};
use crate::keys::{HistoryId, RecordKey};

impl RecordKey {
    /// HMAC over label, history, record id (each a u32 big-endian length and its bytes), the number
    /// of fields (u32) and every field: 0 for NULL, or 1, a u32 length and the bytes.
    ///
    /// No part may be longer than `u32::MAX` bytes; PostgreSQL's values are below 1 GB.
    #[must_use]
    pub fn mac(&self, label: &str, history: HistoryId, record_id: &[u8], fields: &[Option<&[u8]>]) -> Mac {
        let mut hmac = self.hmac();
        put(&mut hmac, label.as_bytes());
        put(&mut hmac, &history.0);
        put(&mut hmac, record_id);
        hmac.update(&length(fields.len()));
        for field in fields {
            match field {
                None => hmac.update(&[0]),
                Some(bytes) => {
                    hmac.update(&[1]);
                    put(&mut hmac, bytes);
                }
            }
        }
        hmac.finalize().into_bytes().into()
    }

    /// Whether `mac` is the record's; constant time in the mac.
    #[must_use]
    pub fn verify(
        &self,
        label: &str,
        history: HistoryId,
        record_id: &[u8],
        fields: &[Option<&[u8]>],
        mac: &[u8],
    ) -> bool {
        is_same_mac(&self.mac(label, history, record_id, fields), mac)
    }
}

fn put(hmac: &mut Hmac<Sha256>, bytes: &[u8]) {
    hmac.update(&length(bytes.len()));
    hmac.update(bytes);
}

fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}
