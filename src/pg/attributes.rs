//! The columns of a table.

use super::output::PinnedOutput;
use pgrx::pg_sys;
use std::ffi::CStr;

/// One live column.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Place in the row, from 0; dropped columns count.
    pub index: usize,
    pub name: String,
    pub type_oid: u32,
    pub type_mod: i32,
    pub collation: u32,
    pub generated: bool,
}

/// Oid of the collation "C".
const C_COLLATION: u32 = 950;

impl Attribute {
    pub fn has_collation_c(&self) -> bool {
        self.collation == C_COLLATION
    }

    /// The type as `format_type` prints it, schema-qualified unless it is a built-in one.
    pub fn type_name(&self) -> String {
        let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
        let _pinned = PinnedOutput::pin();
        // SAFETY: a catalog lookup; the result is a palloc'd string.
        unsafe {
            let text = pg_sys::format_type_extended(self.type_oid.into(), self.type_mod, flags as pg_sys::bits16);
            let text = CStr::from_ptr(text).to_string_lossy();
            text.strip_prefix("pg_catalog.").unwrap_or(&text).to_owned()
        }
    }
}

/// # Safety
/// The descriptor must be valid during the call.
pub(super) unsafe fn of_descriptor(descriptor: pg_sys::TupleDesc) -> Vec<Attribute> {
    // SAFETY: a descriptor has natts attributes.
    unsafe {
        (0..(*descriptor).natts as usize)
            .map(|index| (index, &*attribute(descriptor, index)))
            .filter(|(_, attribute)| !attribute.attisdropped)
            .map(|(index, attribute)| Attribute {
                index,
                name: CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned(),
                type_oid: attribute.atttypid.to_u32(),
                type_mod: attribute.atttypmod,
                collation: attribute.attcollation.to_u32(),
                generated: attribute.attgenerated != 0,
            })
            .collect()
    }
}

#[cfg(not(feature = "pg18"))]
unsafe fn attribute(descriptor: pg_sys::TupleDesc, index: usize) -> pg_sys::Form_pg_attribute {
    // SAFETY: the caller keeps the index below natts.
    unsafe { (*descriptor).attrs.as_mut_ptr().add(index) }
}

#[cfg(feature = "pg18")]
unsafe fn attribute(descriptor: pg_sys::TupleDesc, index: usize) -> pg_sys::Form_pg_attribute {
    // SAFETY: the caller keeps the index below natts.
    unsafe { pg_sys::TupleDescAttr(descriptor, index as i32) }
}
