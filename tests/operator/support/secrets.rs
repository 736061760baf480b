//! What no output may hold, and whether one does.

use mooring_sandbox::aws::FakeAws;

/// How much of a token must be there to be one: names of its kind, as in a message about a prefix, are none.
const LEAST: usize = 16;

/// What begins a token, or stands right before one.
const BEGINNINGS: [&str; 8] = [
    "eyJ",
    "k8s-aws-v1.",
    "X-Amz-Signature=",
    "X-Amz-Security-Token=",
    "WebIdentityToken=",
    "Bearer ",
    "IQoJ",
    "FwoG",
];

/// The first kind of token in a text, by how it begins; and private keys.
pub(crate) fn token_in(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_.+/%=".contains(*c);
    BEGINNINGS.into_iter().find(|beginning| {
        let mut rest = text;
        while let Some(at) = rest.find(beginning) {
            rest = &rest[at + beginning.len()..];
            if rest.chars().take_while(is_part).count() >= LEAST {
                return true;
            }
        }
        false
    })
}

pub(crate) fn tells_no_token(text: &str) {
    if let Some(kind) = token_in(text) {
        panic!("{kind} in {text}");
    }
}

/// The secret keys and session tokens that an AWS has given to anybody, as they stand and as a URL or JSON has them.
pub(crate) struct Given(Vec<[String; 2]>);

impl Given {
    pub(crate) fn by(aws: &FakeAws) -> Self {
        let forms = |secret: String| {
            let encoded =
                percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC).to_string();
            [secret, encoded]
        };
        Self(aws.secrets().into_iter().map(forms).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Any of them, for a text that must be found out.
    pub(crate) fn any(&self) -> &str {
        &self.0[0][0]
    }

    /// Whether one of them, or any token, is in a text.
    pub(crate) fn in_text(&self, text: &str) -> bool {
        token_in(text).is_some() || self.0.iter().flatten().any(|secret| text.contains(secret.as_str()))
    }
}

#[test]
fn tokens_are_found_and_their_names_are_not() {
    let jwt = "token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJhdWQiOlsic3RzLmFtYXpvbmF3cy5jb20iXX0.c2ln";
    for (text, kind) in [
        (jwt, Some("eyJ")),
        ("k8s-aws-v1.aHR0cHM6Ly9zdHMuZXU", Some("k8s-aws-v1.")),
        (
            "?X-Amz-Signature=57efb8acb06e814dd5b47b6ed1c4ed1a",
            Some("X-Amz-Signature="),
        ),
        ("Authorization: Bearer abcdefghijklmnopqrstuv", Some("Bearer ")),
        ("-----BEGIN EC PRIVATE KEY-----", Some("a private key")),
        ("the token has no \"k8s-aws-v1.\" prefix", None),
        ("Bearer <not shown>", None),
        ("eyJ", None),
    ] {
        assert_eq!(token_in(text), kind, "{text}");
    }
}
