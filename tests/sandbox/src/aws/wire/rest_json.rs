//! The rest-json protocol: paths, query strings and JSON bodies.
//!
//! Source: Smithy's AWS restJson1 protocol.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::encoding::{decode, decode_form};
use super::{Refusal, Rendered};
use crate::aws::contract::{Answer, ApiError, Service};
use crate::aws::operations::{self, Http, Kind, Operation, Place};

/// The operation that a method and a path name.
pub(super) fn operation(service: Service, method: &Method, path: &str) -> Result<&'static Operation, Refusal> {
    let bound = |operation: &&Operation| match operation.http {
        Http::Rest {
            method: wanted,
            path: template,
        } => method.as_str() == wanted && fits(template, path),
        Http::Query => false,
    };
    operations::of(service).iter().find(bound).ok_or_else(|| {
        let message = format!("No operation is bound to {method} {path}.");
        Refusal {
            operation: String::new(),
            error: ApiError::new(404, "UnknownOperationException", message),
        }
    })
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(segment)) if part.starts_with('{') => {
                if segment.is_empty() {
                    return false;
                }
            }
            (Some(part), Some(segment)) if part == segment => {}
            _ => return false,
        }
    }
}

/// The input of a request, as the operation's row has it.
pub(super) fn input(
    operation: &Operation,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<Map<String, Value>, ApiError> {
    let Http::Rest { path: template, .. } = operation.http else {
        return Ok(Map::new());
    };
    let mut members = if body.is_empty() { Map::new() } else { object(body)? };
    members.retain(|name, value| {
        let known = operation
            .input
            .iter()
            .any(|field| field.name == name && field.place == Place::Body);
        known && !value.is_null()
    });
    for (part, segment) in template.split('/').zip(path.split('/')) {
        if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            members.insert(name.to_owned(), decode(segment).into());
        }
    }
    let parameters = decode_form(query);
    for field in operation.input.iter().filter(|field| field.place == Place::Query) {
        let mut values = parameters
            .iter()
            .filter(|(name, _)| name == field.name)
            .map(|(_, value)| value.as_str());
        let value = match field.kind {
            Kind::Texts { .. } => {
                let all: Vec<Value> = values.map(Value::from).collect();
                (!all.is_empty()).then_some(Value::Array(all))
            }
            Kind::Integer { .. } => values
                .next()
                .map(|text| text.parse::<i64>().map_or_else(|_| text.into(), Value::from)),
            Kind::Boolean => values
                .next()
                .map(|text| text.parse::<bool>().map_or_else(|_| text.into(), Value::from)),
            Kind::Text { .. }
            | Kind::OneOf(_)
            | Kind::Tags
            | Kind::TagMap
            | Kind::Structure(_)
            | Kind::Structures { .. } => values.next().map(Value::from),
        };
        if let Some(value) = value {
            members.insert(field.name.to_owned(), value);
        }
    }
    Ok(members)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(ApiError::new(
            400,
            "SerializationException",
            "The body is not a JSON object.",
        )),
    }
}

/// An answer as JSON.
pub(super) fn render(answer: Answer) -> Rendered {
    match answer {
        Ok(output) => {
            let body = if output.is_null() {
                "{}".to_owned()
            } else {
                output.to_string()
            };
            Rendered {
                status: StatusCode::OK,
                content_type: "application/json",
                error_type: None,
                body,
            }
        }
        Err(error) => {
            let mut body = error.fields;
            body.insert("message".to_owned(), error.message.into());
            Rendered {
                status: StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                content_type: "application/json",
                error_type: Some(error.code),
                body: Value::Object(body).to_string(),
            }
        }
    }
}
