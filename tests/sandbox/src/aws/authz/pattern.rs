//! Texts with wildcards and policy variables, and ARNs made of them.

use super::Context;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Char(char),
    One,
    Many,
    Variable { key: String, default: Option<String> },
}

/// How the text of a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Every character stands for itself (`StringEquals`).
    Literal,
    /// As `Literal`, without regard to case.
    LiteralAnyCase,
    /// `*` is any run of characters, `?` any one (`StringLike`, `Resource`).
    Wildcard,
    /// As `Wildcard`, without regard to case (`Action`).
    WildcardAnyCase,
}

impl Reading {
    fn wildcards(self) -> bool {
        matches!(self, Self::Wildcard | Self::WildcardAnyCase)
    }

    fn any_case(self) -> bool {
        matches!(self, Self::LiteralAnyCase | Self::WildcardAnyCase)
    }
}

/// A text to compare with, which may hold wildcards and policy variables (`${aws:PrincipalTag/team}`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    any_case: bool,
}

impl Pattern {
    /// Reads a pattern. Policy variables exist only in version 2012-10-17 of the policy language; in the older one
    /// `${` is text.
    pub(super) fn new(text: &str, reading: Reading, variables: bool) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if variables
                && let Some(inner) = rest.strip_prefix("${")
                && let Some(end) = inner.find('}')
            {
                tokens.push(variable(&inner[..end]));
                rest = &inner[end + 1..];
                continue;
            }
            tokens.push(match next {
                '*' if reading.wildcards() => Token::Many,
                '?' if reading.wildcards() => Token::One,
                other if reading.any_case() => Token::Char(lower(other)),
                other => Token::Char(other),
            });
            rest = &rest[next.len_utf8()..];
        }
        Self {
            tokens,
            any_case: reading.any_case(),
        }
    }

    /// Whether `text` matches. A variable without a value in the request matches nothing.
    pub(super) fn matches(&self, text: &str, context: &Context<'_>) -> bool {
        let text: Vec<char> = if self.any_case {
            text.chars().map(lower).collect()
        } else {
            text.chars().collect()
        };
        if self.tokens.iter().any(|token| matches!(token, Token::Variable { .. })) {
            self.expanded(context).is_some_and(|tokens| glob(&tokens, &text))
        } else {
            glob(&self.tokens, &text)
        }
    }

    /// The pattern with the values of its variables; what a variable brings in is text, never a wildcard.
    fn expanded(&self, context: &Context<'_>) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        for token in &self.tokens {
            let Token::Variable { key, default } = token else {
                tokens.push(token.clone());
                continue;
            };
            let value = match context.values(key) {
                Some([single]) => Some(single.as_str()),
                Some(_) | None => default.as_deref(),
            }?;
            let plain = |c: char| Token::Char(if self.any_case { lower(c) } else { c });
            tokens.extend(value.chars().map(plain));
        }
        Some(tokens)
    }
}

fn variable(inner: &str) -> Token {
    match inner {
        "*" => Token::Char('*'),
        "?" => Token::Char('?'),
        "$" => Token::Char('$'),
        _ => {
            let (key, default) = match inner.split_once(',') {
                Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
                None => (inner, None),
            };
            Token::Variable {
                key: key.trim().to_owned(),
                default,
            }
        }
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Matches with one point to come back to, so that the time is bounded by the product of both lengths.
fn glob(pattern: &[Token], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(Token::Many) => {
                back = Some((p, t));
                p += 1;
                continue;
            }
            Some(Token::One) => true,
            Some(Token::Char(c)) => *c == text[t],
            Some(Token::Variable { .. }) | None => false,
        };
        if step {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|token| matches!(token, Token::Many))
}

/// An ARN whose six parts are compared each by itself, so that a wildcard does not reach over a colon (IAM user
/// guide, "ARN condition operators"). A text of fewer parts, such as `*`, is compared as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArnPattern(Vec<Pattern>);

impl ArnPattern {
    pub(super) fn new(text: &str, variables: bool) -> Self {
        let parts: Vec<&str> = split(text);
        let parts = if parts.len() == 6 { parts } else { vec![text] };
        Self(
            parts
                .into_iter()
                .map(|part| Pattern::new(part, Reading::Wildcard, variables))
                .collect(),
        )
    }

    pub(super) fn matches(&self, text: &str, context: &Context<'_>) -> bool {
        let parts = if self.0.len() == 6 { split(text) } else { vec![text] };
        parts.len() == self.0.len()
            && self
                .0
                .iter()
                .zip(parts)
                .all(|(pattern, part)| pattern.matches(part, context))
    }
}

/// Splits at the first five colons outside of `${}`.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && parts.len() < 5 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
