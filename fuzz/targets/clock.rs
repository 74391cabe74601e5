//! Which time is believed, and to which period a time belongs, whatever clock and state file say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_chain::{PeriodKind, Seen};

type Given = (i64, u8, i64);

fn seen((at, boot, boot_time): Given) -> Seen {
    Seen { at, boot: boot.to_string(), boot_time }
}

fuzz_target!(|given: (Given, Given, u32)| {
    let (remembered, now, period) = given;
    let now = seen(now);
    let believed = seen(remembered).believe(&now);
    assert!(believed.time <= now.at);
    for kind in PeriodKind::ALL {
        let number = kind.period(now.at);
        assert!(number == 0 || kind.start(number) <= now.at);
        assert!(!kind.name(period).is_empty());
    }
});
