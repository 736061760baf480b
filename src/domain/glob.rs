//! Patterns as AWS and Argo CD both write them. Others choose the pattern and the text, so no pattern may take long.

use serde::Serialize;

/// A pattern in which `*` stands for any run of characters. Nothing else is special.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Glob(pub String);

impl Glob {
    /// Whether the pattern covers the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        Self::covers(&self.0, text)
    }

    /// The same of a pattern that stands nowhere else.
    #[must_use]
    pub fn covers(pattern: &str, text: &str) -> bool {
        let mut pieces = pattern.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut pieces: Vec<&str> = pieces.collect();
        let Some(last) = pieces.pop() else {
            return rest.is_empty();
        };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// Whether the pattern covers the whole of the text: `*` for any run of characters, `?` for one. The time it takes is at
/// most that of the lengths of both multiplied.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[from] => {
                at += 1;
                from += 1;
            }
            Some(_) | None => {
                let Some((star_at, star_from)) = star else { return false };
                star = Some((star_at, star_from + 1));
                at = star_at + 1;
                from = star_from + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Whether there is a text that both patterns cover, in which `*` is any run of characters and nothing else is special.
#[must_use]
pub fn meet(one: &str, two: &str) -> bool {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    // Whether what is left of the one from here on can be what is left of the other from there on.
    let mut rest = vec![vec![false; two.len() + 1]; one.len() + 1];
    for at in (0..=one.len()).rev() {
        for of in (0..=two.len()).rev() {
            rest[at][of] = match (one.get(at), two.get(of)) {
                (None, None) => true,
                (Some('*'), None) => rest[at + 1][of],
                (None, Some('*')) => rest[at][of + 1],
                (Some('*'), Some(_)) | (Some(_), Some('*')) => rest[at + 1][of] || rest[at][of + 1],
                (Some(a), Some(b)) => a == b && rest[at + 1][of + 1],
                (Some(_), None) | (None, Some(_)) => false,
            };
        }
    }
    rest[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_patterns_meet_where_one_text_is_both() {
        for (one, two, meets) in [
            ("", "", true),
            ("", "*", true),
            ("", "a", false),
            ("prod-*", "prod-eu", true),
            ("prod-*", "*-eu", true),
            ("prod-*", "dev-*", false),
            ("a*c", "ab", false),
            ("a*c", "*b*", true),
            ("a*a", "a", false),
            ("ab*bc", "abc", false),
            ("ab*", "*bc", true),
            ("a?", "ab", false),
        ] {
            assert_eq!(meet(one, two), meets, "{one} {two}");
            assert_eq!(meet(two, one), meets, "{two} {one}");
        }
    }

    #[test]
    fn a_star_is_any_run_and_a_question_mark_one_character() {
        for (pattern, text, covers) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*", "abc", true),
            ("*a*b", "xxaxxab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("ä*", "äö", true),
            ("?", "ö", true),
        ] {
            assert_eq!(glob(pattern, text), covers, "{pattern} {text}");
        }
    }

    /// By backing off at every star this would take longer than the universe has.
    #[test]
    fn no_pattern_takes_long() {
        assert!(!glob(&format!("{}b", "*a".repeat(500)), &"a".repeat(2000)));
    }
}
