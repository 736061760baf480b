//! JSON as Go's `encoding/json` reads it into a struct: keys in any case, the same key again written over the first,
//! `null` for anything, what is unknown passed over. Needed because Argo CD reads cluster Secrets so, and what it can
//! read is not malformed (argoproj/argo-cd v3.6.1, `util/db/cluster.go`, `SecretToCluster`; run with its own code).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A JSON value that keeps every key, the repeated ones too.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Node {
    /// The kind of value, as Go names it in its errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Bool(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Node::Object(pairs))
    }
}

/// Takes the fields of an object, one after another: `take` is told each that it knows, by the name that it has in Go.
///
/// # Errors
/// When the value is neither an object nor `null`, or a field is not of its type.
pub(super) fn fields(
    node: &Node,
    of: &str,
    known: &[&'static str],
    mut take: impl FnMut(&'static str, &Node) -> Result<(), String>,
) -> Result<(), String> {
    match node {
        Node::Null => Ok(()),
        Node::Object(pairs) => pairs.iter().try_for_each(|(key, value)| {
            // Go prefers the exact name, and otherwise takes any case.
            let exact = known.iter().find(|name| *name == key);
            let name = exact.or_else(|| known.iter().find(|name| name.eq_ignore_ascii_case(key)));
            name.map_or(Ok(()), |name| take(name, value))
        }),
        Node::Bool(_) | Node::Number | Node::Text(_) | Node::List(_) => Err(wrong(of, "an object", node)),
    }
}

/// A text; `null` leaves what was there.
pub(super) fn text(node: &Node, of: &str, into: &mut String) -> Result<(), String> {
    match node {
        Node::Null => Ok(()),
        Node::Text(text) => {
            into.clone_from(text);
            Ok(())
        }
        Node::Bool(_) | Node::Number | Node::List(_) | Node::Object(_) => Err(wrong(of, "a string", node)),
    }
}

/// A flag; `null` leaves what was there.
pub(super) fn flag(node: &Node, of: &str, into: &mut bool) -> Result<(), String> {
    match node {
        Node::Null => Ok(()),
        Node::Bool(flag) => {
            *into = *flag;
            Ok(())
        }
        Node::Number | Node::Text(_) | Node::List(_) | Node::Object(_) => Err(wrong(of, "true or false", node)),
    }
}

pub(super) fn wrong(of: &str, wanted: &str, found: &Node) -> String {
    format!("{of} is {}, and must be {wanted}", found.kind())
}
