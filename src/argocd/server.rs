//! `server` of a cluster Secret.

use std::fmt;

use crate::text::NOT_SHOWN;

/// A server's URL as a Secret has it. Whoever wrote that may have put a user and password before the host, or a token
/// behind it: printed, it shows neither.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Server(String);

impl Server {
    /// The URL as Argo CD reads it: without slashes at its end.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    /// The whole of it, which is not to be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.find("://") {
            Some(at) => self.0.split_at(at + 3),
            None => ("", self.0.as_str()),
        };
        f.write_str(scheme)?;
        let rest = match rest.rsplit_once('@') {
            Some((_, host)) => {
                write!(f, "{NOT_SHOWN}@")?;
                host
            }
            None => rest,
        };
        match rest.split_once(['?', '#']) {
            Some((before, _)) => write!(f, "{before}?{NOT_SHOWN}"),
            None => f.write_str(rest),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret_in_it() {
        for (url, shown) in [
            ("https://a.example:6443//", "https://a.example:6443"),
            ("https://a.example/k8s/clusters/c", "https://a.example/k8s/clusters/c"),
            ("https://user:hunter2@a.example", "https://<not shown>@a.example"),
            ("https://user:hun ter/2@a.example", "https://<not shown>@a.example"),
            ("user:hunter2@a.example", "<not shown>@a.example"),
            ("https://a.example?token=hunter2", "https://a.example?<not shown>"),
            ("https://a.example#hunter2", "https://a.example?<not shown>"),
            (
                "https://u?hunter2@a.example?hunter2",
                "https://<not shown>@a.example?<not shown>",
            ),
            ("", ""),
        ] {
            let server = Server::new(url);
            assert_eq!(server.to_string(), shown);
            assert_eq!(format!("{server:?}"), format!("{shown:?}"));
            assert_eq!(server.as_str(), url.trim_end_matches('/'));
        }
    }
}
