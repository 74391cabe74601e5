//! A writer of jsonb binaries and, independently, of their texts: what the crate is held against.

#![allow(dead_code)] // each test binary uses a part of it

use pgseal_document::member_order;
use std::fmt::Write as _;

/// A decimal number: `-?whole[.fraction]`, `whole` without leading zeros.
#[derive(Clone, Debug)]
pub struct Number {
    pub negative: bool,
    pub whole: String,
    pub fraction: String,
    /// Whether a one-byte length header is used inside jsonb.
    pub packed: bool,
}

#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Number {
    fn is_zero(&self) -> bool {
        self.whole.chars().chain(self.fraction.chars()).all(|digit| digit == '0')
    }

    pub fn text(&self) -> String {
        let sign = if self.negative && !self.is_zero() { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{}", self.whole, self.fraction)
    }

    /// The numeric without length header, as the server's make_result packs it.
    pub fn payload(&self) -> Vec<u8> {
        let whole = format!("{}{}", "0".repeat((4 - self.whole.len() % 4) % 4), self.whole);
        let fraction = format!("{}{}", self.fraction, "0".repeat((4 - self.fraction.len() % 4) % 4));
        let mut weight = whole.len() as i32 / 4 - 1;
        let all = whole + &fraction;
        let mut digits: Vec<u16> = (0..all.len() / 4).map(|i| all[4 * i..4 * i + 4].parse().unwrap()).collect();
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            weight = 0;
        }
        let negative = self.negative && !self.is_zero();
        let dscale = self.fraction.len() as u16;
        let mut bytes = Vec::new();
        if dscale < 64 && (-64..64).contains(&weight) {
            let header = 0x8000 | u16::from(negative) << 13 | dscale << 7 | (weight as u16 & 0x7f);
            bytes.extend(header.to_ne_bytes());
        } else {
            bytes.extend((u16::from(negative) << 14 | dscale).to_ne_bytes());
            bytes.extend((weight as i16).to_ne_bytes());
        }
        bytes.extend(digits.iter().flat_map(|digit| digit.to_ne_bytes()));
        bytes
    }

    fn with_header(&self) -> Vec<u8> {
        let payload = self.payload();
        let mut bytes = match (self.packed && payload.len() < 126, cfg!(target_endian = "little")) {
            (true, true) => vec![(payload.len() as u8 + 1) << 1 | 1],
            (true, false) => vec![(payload.len() as u8 + 1) | 0x80],
            (false, true) => ((payload.len() as u32 + 4) << 2).to_ne_bytes().to_vec(),
            (false, false) => (payload.len() as u32 + 4).to_ne_bytes().to_vec(),
        };
        bytes.extend(payload);
        bytes
    }
}

impl Json {
    /// The members in jsonb's order, the last of equal keys kept.
    pub fn object(members: Vec<(String, Json)>) -> Self {
        let mut sorted: Vec<(String, Json)> = Vec::new();
        for (key, value) in members {
            sorted.retain(|(other, _)| *other != key);
            sorted.push((key, value));
        }
        sorted.sort_by(|(a, _), (b, _)| member_order(a.as_bytes(), b.as_bytes()));
        Self::Object(sorted)
    }

    pub fn text(&self) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.text(),
            Self::String(text) => quoted(text),
            Self::Array(elements) => {
                format!("[{}]", list(elements.iter().map(Self::text).collect()))
            }
            Self::Object(members) => {
                format!(
                    "{{{}}}",
                    list(members.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.text())).collect())
                )
            }
        }
    }

    /// A whole value: a container, or a bare value in its array of one.
    pub fn payload(&self) -> Vec<u8> {
        match self {
            Self::Array(elements) => container(0x4000_0000, elements.len(), &elements.iter().collect::<Vec<_>>()),
            Self::Object(members) => {
                let keys: Vec<Json> = members.iter().map(|(key, _)| Self::String(key.clone())).collect();
                let children: Vec<&Json> = keys.iter().chain(members.iter().map(|(_, value)| value)).collect();
                container(0x2000_0000, members.len(), &children)
            }
            bare => container(0x5000_0000, 1, &[bare]),
        }
    }
}

/// The text with JSON's quotes and escapes, one character at a time.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn container(kind: u32, count: usize, children: &[&Json]) -> Vec<u8> {
    let (mut words, mut data) = (Vec::new(), Vec::new());
    for (i, child) in children.iter().enumerate() {
        let start = data.len();
        let (kind, bytes, align) = match child {
            Json::Null => (0x4000_0000, Vec::new(), false),
            Json::Bool(false) => (0x2000_0000, Vec::new(), false),
            Json::Bool(true) => (0x3000_0000, Vec::new(), false),
            Json::Number(number) => (0x1000_0000, number.with_header(), true),
            Json::String(text) => (0, text.clone().into_bytes(), false),
            Json::Array(_) | Json::Object(_) => (0x5000_0000, child.payload(), true),
        };
        if align {
            data.resize(data.len().next_multiple_of(4), 0);
        }
        data.extend(bytes);
        let word: u32 = if i % 32 == 0 { data.len() as u32 | 0x8000_0000 } else { (data.len() - start) as u32 };
        words.extend((kind | word).to_ne_bytes());
    }
    [(kind | count as u32).to_ne_bytes().to_vec(), words, data].concat()
}
