//! What the server makes of a text when it reads it, as far as it then prints another one.

use super::text::Node::{self, Plain, Quoted, Round, Square};

const CONNECTIVES: [&str; 2] = [" AND ", " OR "];
const ARRAY: &str = "ARRAY";
const COLLATE: &str = " COLLATE ";

/// The nodes of the text that reading and printing no longer change.
pub fn settle(nodes: Vec<Node>) -> Vec<Node> {
    let inner = nodes.into_iter().map(|node| match node {
        Round(inside) => Round(flatten(settle(inside))),
        Square(inside) => Square(settle(inside)),
        other => other,
    });
    let mut rest: Vec<Node> = inner.collect();
    let mut done: Vec<Node> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let is_argument = done.last().is_some_and(ends_name);
        let length = if is_argument { None } else { cast_length(&rest) };
        let following = rest.split_off(length.unwrap_or(1));
        let mut here = std::mem::replace(&mut rest, following);
        match (length, here.first_mut()) {
            (Some(_), Some(Round(array))) => {
                let array = std::mem::take(array);
                done.extend(push(array, &here[1..here.len() - 1]));
            }
            _ => done.append(&mut here),
        }
    }
    done
}

/// `(a AND b) AND c` as `a AND b AND c`. The server does so with what stands first only.
fn flatten(mut nodes: Vec<Node>) -> Vec<Node> {
    let is_same_inside = |word: &str| match nodes.as_slice() {
        [Round(first), Plain(next), ..] => {
            next.starts_with(word) && first.iter().any(|node| matches!(node, Plain(text) if text.contains(word)))
        }
        _ => false,
    };
    if CONNECTIVES.into_iter().any(is_same_inside)
        && let Round(first) = nodes.remove(0)
    {
        nodes.splice(0..0, first);
    }
    nodes
}

/// Whether brackets that follow are a function's.
fn ends_name(node: &Node) -> bool {
    match node {
        Plain(text) => text.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '$')),
        Quoted(name) => name.starts_with('"'),
        Round(_) | Square(_) => false,
    }
}

/// How many nodes `(ARRAY[…])::type[]` takes, where that is what comes next.
fn cast_length(nodes: &[Node]) -> Option<usize> {
    let [Round(array), Plain(cast), ..] = nodes else { return None };
    if !is_array(array) || !cast.starts_with("::") {
        return None;
    }
    let is_of_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ' '));
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-');
    let is_of_type = |(place, node): &(usize, &Node)| match node {
        Plain(text) => is_of_name(if *place == 1 { &text[2..] } else { text }),
        Quoted(name) => name.starts_with('"'),
        Round(modifier) => matches!(modifier.as_slice(), [Plain(text)] if text.chars().all(is_number)),
        Square(_) => false,
    };
    let end = nodes.iter().enumerate().skip(1).find(|part| !is_of_type(part))?;
    (*end.1 == Square(Vec::new())).then_some(end.0 + 1)
}

fn is_array(nodes: &[Node]) -> bool {
    matches!(nodes, [Plain(name), Square(_)] if name == ARRAY)
}

/// A value with a cast, `::` and the type, that goes to what it is made of.
fn push(value: Vec<Node>, cast: &[Node]) -> Vec<Node> {
    if is_array(&value)
        && let Some(Square(inside)) = value.last()
    {
        let mut elements = Vec::new();
        for element in split(inside, ",") {
            if !elements.is_empty() {
                elements.push(Plain(", ".into()));
            }
            elements.extend(push(element, cast));
        }
        return vec![Plain(ARRAY.into()), Square(elements)];
    }
    if let [Round(inside)] = value.as_slice()
        && let [collated, collation] = split(inside, COLLATE).as_slice()
    {
        let mut inside = push(collated.clone(), cast);
        inside.push(Plain(COLLATE.into()));
        inside.extend_from_slice(collation);
        return vec![Round(inside)];
    }
    // An element that says itself that it is an array remains one.
    let brackets = value.last().filter(|last| value.len() > 1 && **last == Square(Vec::new())).cloned();
    let mut nodes = vec![Round(value)];
    nodes.extend_from_slice(cast);
    nodes.extend(brackets);
    nodes
}

/// What is between separators, without the spaces before it.
fn split(nodes: &[Node], separator: &str) -> Vec<Vec<Node>> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    for node in nodes {
        let Plain(text) = node else {
            part.push(node.clone());
            continue;
        };
        for (place, piece) in text.split(separator).enumerate() {
            if place > 0 {
                parts.push(std::mem::take(&mut part));
            }
            let piece = if part.is_empty() { piece.trim_start_matches(' ') } else { piece };
            if !piece.is_empty() {
                part.push(Plain(piece.into()));
            }
        }
    }
    parts.push(part);
    parts
}
