//! What a state file says.

use pgseal_chain::{EvolvingSecret, Period, PeriodKind, Seen, Stream};
use serde_json::Value;
use std::fmt::Write;
use zeroize::Zeroizing;

const VERSION: u64 = 1;

/// Where a stream stands. Holds the secret of the period in force.
#[derive(Debug, Clone)]
pub struct State {
    pub stream: Stream,
    /// The period in force.
    pub period: u32,
    pub secret: EvolvingSecret,
    /// Fingerprint of the root, hex.
    pub root: String,
    /// When this was last looked at, by which the clock is judged.
    pub seen: Seen,
}

impl State {
    /// The period whose secret this is.
    pub fn in_force(&self) -> Period {
        Period { stream: self.stream.id, kind: self.stream.kind, number: self.period }
    }

    /// The state of the next period; the secret of this one is not in it.
    pub fn next(&self, seen: Seen) -> State {
        let period = self.period.saturating_add(1);
        State { secret: self.secret.next(&self.stream, period), period, seen, ..self.clone() }
    }

    /// As a state file has it: JSON.
    pub fn text(&self) -> Zeroizing<String> {
        let text = |value: &str| Value::from(value).to_string();
        // Reserved whole, so that no reallocation leaves a copy of the secret behind.
        let mut out = Zeroizing::new(String::with_capacity(4096));
        let mut secret = Zeroizing::new([0; 64]);
        hex::encode_to_slice(self.secret.bytes(), secret.as_mut()).expect("64 digits for 32 bytes");
        let secret = std::str::from_utf8(secret.as_ref()).expect("hexadecimal digits");
        let Stream { id, kind, first, key_id } = &self.stream;
        let _ = writeln!(
            out,
            "{{\"version\": {VERSION}, \"key\": {}, \"stream\": \"{}\", \"kind\": \"{}\", \"first\": {first}, \
             \"period\": {}, \"secret\": \"{secret}\", \"root\": {}, \
             \"seen\": {{\"at\": {}, \"boot\": {}, \"boot_time\": {}}}}}",
            text(key_id),
            hex::encode(id),
            kind.as_str(),
            self.period,
            text(&self.root),
            self.seen.at,
            text(&self.seen.boot),
            self.seen.boot_time,
        );
        out
    }

    /// `None` where it is not complete, or of another version.
    pub fn parse(text: &[u8]) -> Option<State> {
        let mut value: Value = serde_json::from_slice(text).ok()?;
        // Only of an object: an index into anything else that is to be changed panics.
        let secret = match value.as_object_mut()?.remove("secret")? {
            Value::String(secret) => Zeroizing::new(secret),
            _ => return None,
        };
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(secret.as_bytes(), bytes.as_mut()).ok()?;
        let mut id = [0; 16];
        hex::decode_to_slice(value["stream"].as_str()?, &mut id).ok()?;
        let number = |name: &str| u32::try_from(value[name].as_u64()?).ok();
        let owned = |value: &Value| value.as_str().map(str::to_owned);
        let state = State {
            stream: Stream {
                id,
                kind: PeriodKind::parse(value["kind"].as_str()?)?,
                first: number("first")?,
                key_id: owned(&value["key"])?,
            },
            period: number("period")?,
            secret: EvolvingSecret::from_bytes(bytes),
            root: owned(&value["root"])?,
            seen: Seen {
                at: value["seen"]["at"].as_i64()?,
                boot: owned(&value["seen"]["boot"])?,
                boot_time: value["seen"]["boot_time"].as_i64()?,
            },
        };
        (value["version"] == VERSION && state.period >= state.stream.first).then_some(state)
    }
}
