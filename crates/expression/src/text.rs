//! Printed text as a tree of brackets, with quoted parts whole.

/// Deepest nesting that is looked into.
const DEEPEST: usize = 1000;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Anything without brackets and quotes.
    Plain(String),
    /// A string or a quoted name, with its quotes.
    Quoted(String),
    /// What is between `(` and `)`.
    Round(Vec<Node>),
    /// What is between `[` and `]`.
    Square(Vec<Node>),
}

/// `None` where brackets or quotes do not match. The server doubles a quote within quotes and writes no `E''`, so
/// that a backslash means nothing.
pub fn parse(text: &str) -> Option<Vec<Node>> {
    let mut open: Vec<(char, Vec<Node>)> = Vec::new();
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let length = rest[1..].find(first)? + 2;
                nodes.push(Node::Quoted(rest[..length].into()));
                length
            }
            '(' | '[' => {
                if open.len() == DEEPEST {
                    return None;
                }
                open.push((first, std::mem::take(&mut nodes)));
                1
            }
            ')' | ']' => {
                let (bracket, outside) = open.pop()?;
                let inside = std::mem::replace(&mut nodes, outside);
                nodes.push(match (bracket, first) {
                    ('(', ')') => Node::Round(inside),
                    ('[', ']') => Node::Square(inside),
                    _ => return None,
                });
                1
            }
            _ => {
                let length = rest.find(['\'', '"', '(', ')', '[', ']']).unwrap_or(rest.len());
                nodes.push(Node::Plain(rest[..length].into()));
                length
            }
        };
        rest = &rest[length..];
    }
    open.is_empty().then_some(nodes)
}

/// The text that `parse` would read as these nodes.
pub fn print(nodes: &[Node]) -> String {
    let mut text = String::new();
    write(nodes, &mut text);
    text
}

fn write(nodes: &[Node], text: &mut String) {
    for node in nodes {
        match node {
            Node::Plain(plain) | Node::Quoted(plain) => text.push_str(plain),
            Node::Round(inside) => {
                text.push('(');
                write(inside, text);
                text.push(')');
            }
            Node::Square(inside) => {
                text.push('[');
                write(inside, text);
                text.push(']');
            }
        }
    }
}
