//! A report for people: what a verification found, on a page that can be put on file.
//!
//! `facts` says what a report holds, `gather` and its helpers `life`, `runs` and `journal` find it out, `text` and
//! `json` write it down, `signature` gives it a mac, `former` reads a report that somebody kept and looks whether what
//! it saw is still there.
//!
//! A report writes nothing into the database, so that it can be made on a standby; what has to be remembered is on
//! the page.

mod check;
mod facts;
mod former;
mod functions;
mod gather;
mod journal;
mod json;
mod life;
mod runs;
mod signature;
mod text;
mod words;
