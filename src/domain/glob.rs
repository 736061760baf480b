//! Patterns as AWS and Argo CD both write them. Others choose the pattern and the text, so no pattern may take long.

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

#[cfg(test)]
mod tests {
    use super::*;

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
