//! The regular expressions of AWS's models, each as the model writes it and as a test of a string.

/// A regular expression that a string of the input must satisfy as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Names of roles, policies and users.
    Name,
    /// Names of role sessions, source identities.
    SessionName,
    /// The path of a role: `/`, or printable ASCII between two slashes. It admits `*`, `?` and `$`.
    Path,
    /// The path of a managed policy, and the path prefix of a listing.
    PolicyPath,
    /// A policy document.
    Document,
    /// The description of a role.
    Description,
    /// The key of a tag.
    TagKey,
    /// The value of a tag.
    TagValue,
    /// The marker of a page.
    Marker,
    /// The version of a managed policy: `v1`.
    VersionId,
    /// An ARN as STS has it: anything printable.
    StsArn,
    /// `sts:ExternalId`.
    ExternalId,
    /// The serial number of an MFA device.
    SerialNumber,
    /// The six digits of an MFA device.
    TokenCode,
}

impl Pattern {
    /// The regular expression, letter for letter as the model has it; errors quote it.
    #[must_use]
    pub const fn regex(self) -> &'static str {
        match self {
            Self::Name => r"[\w+=,.@-]+",
            Self::SessionName => r"[\w+=,.@-]*",
            Self::Path => r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)",
            Self::PolicyPath => r"((/[A-Za-z0-9\.,\+@=_-]+)*)/",
            Self::Document => r"[\u0009\u000A\u000D\u0020-\u00FF]+",
            Self::Description => r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
            Self::TagKey => r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+",
            Self::TagValue => r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
            Self::Marker => r"[\u0020-\u00FF]+",
            Self::VersionId => r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?",
            Self::StsArn => r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+",
            Self::ExternalId => r"[\w+=,.@:\/-]*",
            Self::SerialNumber => r"[\w+=/:,.@-]*",
            Self::TokenCode => r"[\d]*",
        }
    }

    /// Whether the whole of `text` satisfies it.
    #[must_use]
    pub fn holds(self, text: &str) -> bool {
        let every = |allowed: fn(char) -> bool| text.chars().all(allowed);
        match self {
            Self::Name => !text.is_empty() && every(|c| word(c) || "+=,.@-".contains(c)),
            Self::SessionName => every(|c| word(c) || "+=,.@-".contains(c)),
            Self::Path => {
                let inside = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
                text == "/"
                    || inside.is_some_and(|inside| !inside.is_empty() && inside.chars().all(|c| c.is_ascii_graphic()))
            }
            Self::PolicyPath => {
                let segment =
                    |segment: &str| !segment.is_empty() && segment.chars().all(|c| word(c) || ".,+@=-".contains(c));
                let inside = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
                text == "/" || inside.is_some_and(|inside| inside.split('/').all(segment))
            }
            Self::Document => !text.is_empty() && every(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')),
            Self::Description => every(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}')),
            Self::TagKey => !text.is_empty() && every(tag),
            Self::TagValue => every(tag),
            Self::Marker => !text.is_empty() && every(|c| matches!(c, ' '..='\u{ff}')),
            Self::VersionId => version(text),
            Self::StsArn => {
                !text.is_empty() && every(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..))
            }
            Self::ExternalId => every(|c| word(c) || "+=,.@:/-".contains(c)),
            Self::SerialNumber => every(|c| word(c) || "+=/:,.@-".contains(c)),
            Self::TokenCode => every(|c| c.is_ascii_digit()),
        }
    }
}

/// `\w` as AWS's servers read it: ASCII only.
fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn tag(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)
}

fn version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else {
        return false;
    };
    let (number, suffix) = rest.split_once('.').unwrap_or((rest, ""));
    !number.starts_with('0')
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
        && suffix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn paths_admit_wildcards_and_nothing_outside_of_printable_ascii() {
        assert!(
            ["/", "/a/", "/*/", "/a/b/"]
                .iter()
                .all(|path| Pattern::Path.holds(path))
        );
        assert!(
            ["", "a/", "/a", "//x y/", "/é/"]
                .iter()
                .all(|path| !Pattern::Path.holds(path))
        );
        assert!(
            Pattern::PolicyPath.holds("/a/b/") && !Pattern::PolicyPath.holds("/*/") && !Pattern::PolicyPath.holds("//")
        );
    }

    #[test]
    fn names_and_tags() {
        assert!(Pattern::Name.holds("a-b_c+=,.@1") && !Pattern::Name.holds("a/b") && !Pattern::Name.holds("é"));
        assert!(
            Pattern::TagValue.holds("mooring.dev/hub é 1")
                && !Pattern::TagValue.holds("a*b")
                && !Pattern::TagKey.holds("")
        );
        assert!(Pattern::VersionId.holds("v12") && !Pattern::VersionId.holds("v0") && !Pattern::VersionId.holds("12"));
        assert!(Pattern::Document.holds("{\"é\":1}\n") && !Pattern::Document.holds("{\"→\":1}"));
    }
}
