//! Why a value has no text.

/// A value that cannot be written.
///
/// The first variants mean corrupt (or not PostgreSQL's) bytes; [`Malformed::TooLong`] means a value that is well
/// formed but that the server could not print either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not a jsonb container.
    #[error("malformed jsonb: {0}")]
    Jsonb(&'static str),
    /// The bytes are not a numeric.
    #[error("malformed numeric: {0}")]
    Numeric(&'static str),
    /// The text is not the output of a float type.
    #[error("malformed float text")]
    Float,
    /// A date or time outside the range that the server has.
    #[error("date or time out of range")]
    DateTime,
    /// The text would be longer than [`crate::MAX_TEXT`], or there is no memory for it.
    #[error("the text of the value would be longer than PostgreSQL can hold (1 GB)")]
    TooLong,
}
