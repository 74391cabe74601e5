//! Records of pgseal's tables and files, which a superuser can write: read or refused, and written as they were read.
//! The sources are those of the extension, which cannot be linked without a server.
#![no_main]
#![allow(dead_code)] // the extension uses what is not used here

use libfuzzer_sys::fuzz_target;

#[path = "../../src/key/evolution/state.rs"]
mod state;
#[path = "../../src/record"]
pub mod record {
    #[path = "closing/content.rs"]
    pub mod content;
    pub mod epoch;
    pub mod identity;

    /// What `identity` takes from there.
    pub mod anchor {
        pub const JOURNAL: &str = "journal";
    }
}

use record::content::Content;
use record::epoch::EpochRecord;
use state::State;

fuzz_target!(|text: &str| {
    if let Some(content) = Content::parse(text) {
        assert_eq!(Content::parse(&content.to_json().to_string()), Some(content.clone()));
        let _ = content.step(1, [0; 32]);
    }
    if let Ok(epoch) = EpochRecord::parse(text) {
        assert_eq!(EpochRecord::parse(&epoch.to_json().to_string()).ok(), Some(epoch.clone()));
        let _ = epoch.next_column_id();
    }
    if let Some(state) = State::parse(text.as_bytes()) {
        let again = State::parse(state.text().as_bytes()).expect("what was written");
        assert_eq!(again.text().as_str(), state.text().as_str());
        let _ = state.next(again.seen);
    }
});
