//! Names of chains: `<node>.<tag>`, and `<node>.<tag>/<number>` for a node's further ones.

use std::fmt;

use sha2::{Digest, Sha256};

const MAX_NODE_BYTES: usize = 63;
const TAG_DIGITS: usize = 8;

/// Eight hexadecimal digits that tell one place of sealing from every other: after a promotion, a
/// restore beside the original or a template copy they differ, so new chains begin.
#[must_use]
pub fn tag(system_identifier: u64, timeline: u32, database: u32) -> String {
    let digest = Sha256::new()
        .chain_update(system_identifier.to_be_bytes())
        .chain_update(timeline.to_be_bytes())
        .chain_update(database.to_be_bytes())
        .finalize();
    hex::encode(&digest[..TAG_DIGITS / 2])
}

/// Whether a node may be called so: 1 to 63 bytes, no `/`, `.`, white space or control character.
#[must_use]
pub fn valid_node_name(name: &str) -> bool {
    (1..=MAX_NODE_BYTES).contains(&name.len())
        && !name.chars().any(|c| c == '/' || c == '.' || c.is_whitespace() || c.is_control())
}

/// The parts of a chain's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainName {
    /// The node that seals.
    pub node: String,
    /// Its place of sealing, see [`tag`].
    pub tag: String,
    /// Which of the node's chains: 0 is the first, whose name ends with the tag.
    pub number: u32,
}

/// Where a chain was begun, seen from a node in its place of sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In this place, maybe while the node had another name.
    ThisPlace,
    /// By this node in another place: before a promotion, a restore or a copy.
    AnotherPlace,
    /// By another node, elsewhere.
    AnotherNode,
}

impl ChainName {
    /// Where this chain was begun; `here` is any chain of the node that asks.
    #[must_use]
    pub fn origin(&self, here: &Self) -> Origin {
        match (self.tag == here.tag, self.node == here.node) {
            (true, _) => Origin::ThisPlace,
            (false, true) => Origin::AnotherPlace,
            (false, false) => Origin::AnotherNode,
        }
    }

    /// Reads a name; `None` unless it is exactly what [`fmt::Display`] prints.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (node, rest) = name.split_once('.')?;
        let (tag, number) = match rest.split_once('/') {
            None => (rest, 0),
            Some((tag, digits)) => (tag, parse_number(digits)?),
        };
        let well_formed = valid_node_name(node)
            && tag.len() == TAG_DIGITS
            && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self { node: node.to_owned(), tag: tag.to_owned(), number })
    }
}

fn parse_number(digits: &str) -> Option<u32> {
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if canonical { digits.parse().ok() } else { None }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.tag)?;
        match self.number {
            0 => Ok(()),
            number => write!(f, "/{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        for name in ["main.0a1b2c3d", "main.0a1b2c3d/1", "büro-2.ffffffff/4294967295"] {
            assert_eq!(ChainName::parse(name).expect(name).to_string(), name);
        }
    }

    #[test]
    fn a_chain_is_of_its_place_whatever_the_node_is_called() {
        let here = ChainName::parse("main.0a1b2c3d").expect("a name");
        for (name, origin) in [
            ("main.0a1b2c3d/2", Origin::ThisPlace),
            ("other.0a1b2c3d", Origin::ThisPlace),
            ("main.ffffffff/2", Origin::AnotherPlace),
            ("other.ffffffff", Origin::AnotherNode),
        ] {
            assert_eq!(ChainName::parse(name).expect(name).origin(&here), origin, "{name}");
        }
    }

    #[test]
    fn anything_else_is_no_name() {
        for name in [
            "",
            "main",
            "main.",
            ".0a1b2c3d",
            "main.0a1b2c3",
            "main.0a1b2c3d4",
            "main.0A1B2C3D",
            "main.0a1b2c3g",
            "main.0a1b2c3d/",
            "main.0a1b2c3d/0",
            "main.0a1b2c3d/01",
            "main.0a1b2c3d/+1",
            "main.0a1b2c3d/-1",
            "main.0a1b2c3d/1/2",
            "main.0a1b2c3d/4294967296",
            "ma/in.0a1b2c3d",
            "ma.in.0a1b2c3d",
            "ma in.0a1b2c3d",
            "main.0a1b2c3d ",
        ] {
            assert_eq!(ChainName::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn node_names() {
        assert!(valid_node_name("main"));
        assert!(valid_node_name(&"x".repeat(63)));
        for bad in ["", "a.b", "a/b", "a b", "a\tb", "a\0b", "\u{a0}"] {
            assert!(!valid_node_name(bad), "{bad:?}");
        }
        assert!(!valid_node_name(&"x".repeat(64)));
    }

    #[test]
    fn a_tag_depends_on_each_part() {
        let tags = [tag(1, 1, 1), tag(2, 1, 1), tag(1, 2, 1), tag(1, 1, 2)];
        for (i, a) in tags.iter().enumerate() {
            assert_eq!(a.len(), 8);
            assert!(tags[i + 1..].iter().all(|b| a != b));
        }
    }
}
