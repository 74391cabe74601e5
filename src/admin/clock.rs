//! Somebody says that the clock is right although it jumped.

use crate::pg::clock;
use crate::pg::error::{OrRaise, Report};
use crate::pg::snapshot::Sees;
use crate::record::journal::{self, Act, Note};
use crate::record::overall;
use crate::record::timekeeping::{self, Moment};
use crate::seal::{newest_anchor, plan};
use pgrx::PgSqlErrorCode;
use serde_json::json;

/// Accepts what the clock did until now.
pub fn accept(reason: &str) -> String {
    if reason.trim().is_empty() {
        Report::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "the clock is not accepted without a reason")
            .hint("Say why it is right: SELECT seal.accept_clock('moved to the new data centre').")
            .raise();
    }
    let prefix = plan::chain_prefix().or_raise();
    let jump = timekeeping::disagreement(&prefix, &overall::as_seen(Sees::Stored), Sees::Stored);
    let newest = newest_anchor::newest(&prefix).or_raise();
    let moment = Moment::now();
    let now = clock::text(moment.at);
    journal::note(Note {
        act: Act::Clock,
        history: None,
        table: None,
        sentence: format!("the clock was accepted at {now}: {reason}"),
        details: json!({
            "chain": prefix,
            "number": newest.number,
            "moment": moment.to_json(),
            "reason": reason,
            "jump": jump,
        }),
    });
    match jump {
        Some(jump) => format!("accepted at {now} although {jump}"),
        None => format!("accepted at {now}; nothing was wrong with it"),
    }
}
