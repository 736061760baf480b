//! Texts for people: what must not stand in them.

use std::borrow::Cow;

/// What stands in the place of what is not shown.
pub const NOT_SHOWN: &str = "<not shown>";

/// A text that somebody else chose, on one line: without what a terminal obeys, and without what ends a line for YAML, and with
/// it a comment (YAML 1.1, "Line Break Characters").
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

/// A text in which no URL shows its user and password (RFC 3986, 3.2.1), whoever put them there: a proxy's URL from the
/// environment, a server's from somebody's Secret. What is between `://` and the last `@` before a space goes.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        clean.push_str(before);
        rest = after;
        if let Some(user) = after[..end].rfind('@') {
            clean.push_str(NOT_SHOWN);
            rest = &after[user..];
        }
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_line_or_moves_the_cursor() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\re\nf\u{1b}[2Jg";
        assert_eq!(
            on_one_line(text).replace(char::REPLACEMENT_CHARACTER, "|"),
            "a|b|c|d|e|f|[2Jg"
        );
        assert_eq!(on_one_line("as it is, \u{e9}\u{202f}"), "as it is, \u{e9}\u{202f}");
    }

    #[test]
    fn no_url_shows_a_password_and_everything_else_stays() {
        for (text, clean) in [
            ("nothing", "nothing"),
            ("https://a.example/b?c", "https://a.example/b?c"),
            (
                "https://user:pa/ss@a.example: refused",
                "https://<not shown>@a.example: refused",
            ),
            (
                "by \"http://u:p@proxy:3128\" to https://a, not http://x:y@z",
                "by \"http://<not shown>@proxy:3128\" to https://a, not http://<not shown>@z",
            ),
            ("role/a as prod@hub", "role/a as prod@hub"),
            ("://@", "://<not shown>@"),
            ("ends in ://", "ends in ://"),
        ] {
            assert_eq!(without_passwords(text), clean, "{text}");
        }
    }
}
