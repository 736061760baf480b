//! What a request asks of the API server, read from its method, its path and, of events, its body.

use http::Method;
use serde_json::Value;

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiRequest {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`, as the audit log has it.
    pub verb: &'static str,
    /// The resource with its subresource and its group: `managedclusters.mooring.dev/status`, `secrets`. The path itself
    /// where it names no resource.
    pub resource: String,
    /// The object; empty for a list. Of an event, the object that it is about.
    pub about: String,
}

impl ApiRequest {
    /// Reads a request.
    #[must_use]
    pub fn read(method: &Method, path: &str, query: &str, body: &[u8]) -> Self {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let group = match parts.first().copied() {
            Some("api") if parts.len() > 2 => {
                parts.drain(..2);
                ""
            }
            Some("apis") if parts.len() > 3 => {
                let group = parts[1];
                parts.drain(..3);
                group
            }
            _ => {
                return Self {
                    verb: "get",
                    resource: path.to_owned(),
                    about: String::new(),
                };
            }
        };
        if parts.len() > 2 && parts[0] == "namespaces" {
            parts.drain(..2);
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let (plural, name, sub) = (part(0), part(1), part(2));
        let join = |separator: &str, text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!("{separator}{text}")
            }
        };
        let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        let verb = match (method.as_str(), name.is_empty()) {
            ("GET", true) if watches => "watch",
            ("GET", true) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "get",
        };
        let mut about = name.to_owned();
        if plural == "events" {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            body["regarding"]["name"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut about);
        }
        Self {
            verb,
            resource: format!("{plural}{}{}", join(".", group), join("/", sub)),
            about,
        }
    }

    /// Whether anything is to be changed.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// Verb and resource: `patch managedclusters.mooring.dev/status`.
    #[must_use]
    pub fn kind(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_the_audit_log_reads_them() {
        let event = br#"{"regarding": {"name": "prod-eu"}}"#;
        let long = "/apis/mooring.dev/v1alpha1/managedclusters/a/status";
        for (method, path, query, body, kind, about) in [
            (
                "GET",
                "/api/v1/namespaces/argocd/secrets/s",
                "",
                &b""[..],
                "get secrets",
                "s",
            ),
            ("GET", "/api/v1/namespaces/argocd/secrets", "", b"", "list secrets", ""),
            ("GET", "/api/v1/secrets", "limit=5&watch=true", b"", "watch secrets", ""),
            ("GET", "/api/v1/namespaces/argocd", "", b"", "get namespaces", "argocd"),
            ("PATCH", long, "", b"", "patch managedclusters.mooring.dev/status", "a"),
            (
                "DELETE",
                "/api/v1/namespaces/n/secrets/s",
                "",
                b"",
                "delete secrets",
                "s",
            ),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/default/events",
                "",
                event,
                "create events.events.k8s.io",
                "prod-eu",
            ),
            ("GET", "/version", "", b"", "get /version", ""),
            (
                "GET",
                "/apis/mooring.dev/v1alpha1",
                "",
                b"",
                "get /apis/mooring.dev/v1alpha1",
                "",
            ),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
            let read = ApiRequest::read(&method, path, query, body);
            assert_eq!((read.kind().as_str(), read.about.as_str()), (kind, about), "{path}");
        }
    }
}
