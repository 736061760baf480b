//! The query protocol: forms in, XML out.
//!
//! Source: Smithy's AWS query protocol, and the XML that IAM's and STS's API references show.

use std::fmt::Write as _;

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::encoding::decode_form;
use super::{Refusal, Rendered};
use crate::aws::contract::{Answer, ApiError, Service};
use crate::aws::operations::{self, Field, Kind, Operation};

/// The version of a service's API, and the namespace of its answers.
fn version(service: Service) -> (&'static str, &'static str) {
    match service {
        Service::Iam => ("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"),
        Service::Sts | Service::Eks => ("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
    }
}

/// The form of a request: its body, or the query string of a GET.
pub(super) fn form(method: &Method, query: &str, body: &[u8]) -> Vec<(String, String)> {
    if *method == Method::GET {
        decode_form(query)
    } else {
        decode_form(&String::from_utf8_lossy(body))
    }
}

/// The operation that a form asks for.
pub(super) fn operation(service: Service, form: &[(String, String)]) -> Result<&'static Operation, Refusal> {
    let value = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let Some(action) = value("Action") else {
        let message = "The request must contain the parameter Action.";
        return Err(Refusal {
            operation: String::new(),
            error: ApiError::new(400, "MissingAction", message),
        });
    };
    let given = value("Version").unwrap_or_default();
    let known = operations::find(service, action).filter(|_| given == version(service).0);
    known.ok_or_else(|| {
        let message = format!("Could not find operation {action} for version {given}");
        Refusal {
            operation: action.to_owned(),
            error: ApiError::new(400, "InvalidAction", message),
        }
    })
}

/// The input of a form, as the operation's row has it.
pub(super) fn input(operation: &Operation, form: &[(String, String)]) -> Map<String, Value> {
    structure(operation.input, form, "")
}

fn structure(fields: &[Field], form: &[(String, String)], prefix: &str) -> Map<String, Value> {
    let named = fields.iter().map(|field| (field, format!("{prefix}{}", field.name)));
    named
        .filter_map(|(field, name)| Some((field.name.to_owned(), member(&field.kind, form, &name)?)))
        .collect()
}

fn member(kind: &Kind, form: &[(String, String)], name: &str) -> Option<Value> {
    let scalar = || {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    match kind {
        Kind::Text { .. } | Kind::OneOf(_) => scalar().map(Value::from),
        Kind::Integer { .. } => scalar().map(|text| text.parse::<i64>().map_or_else(|_| text.into(), Value::from)),
        Kind::Boolean => scalar().map(|text| text.parse::<bool>().map_or_else(|_| text.into(), Value::from)),
        Kind::Texts { .. } => list(form, name, |item| {
            form.iter()
                .find(|(key, _)| key == item)
                .map(|(_, value)| Value::from(value.as_str()))
        }),
        Kind::Tags => list(form, name, |item| whole(operations::TAG, form, item)),
        Kind::Structures { of, .. } => list(form, name, |item| whole(of, form, item)),
        Kind::Structure(fields) => whole(fields, form, name),
        Kind::TagMap => None,
    }
}

/// A structure, or nothing when no parameter has its prefix.
fn whole(fields: &[Field], form: &[(String, String)], name: &str) -> Option<Value> {
    let prefix = format!("{name}.");
    let present = form.iter().any(|(key, _)| key.starts_with(&prefix));
    present.then(|| Value::Object(structure(fields, form, &prefix)))
}

/// The items `NAME.member.1`, `NAME.member.2`, ... An empty list is sent as `NAME=`.
fn list(form: &[(String, String)], name: &str, item: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    let items: Vec<Value> = (1..)
        .map_while(|index| item(&format!("{name}.member.{index}")))
        .collect();
    let empty = || form.iter().any(|(key, value)| key == name && value.is_empty());
    (!items.is_empty() || empty()).then_some(Value::Array(items))
}

/// An answer as XML; as JSON for a caller that accepts only that, as the EKS authenticator does.
pub(super) fn render(service: Service, operation: &str, answer: &Answer, request_id: &str, json: bool) -> Rendered {
    let status = answer.as_ref().map_or_else(|error| error.status, |_| 200);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (content_type, body) = if json {
        ("application/json", render_json(operation, answer, request_id))
    } else {
        ("text/xml", render_xml(service, operation, answer, request_id))
    };
    Rendered {
        status,
        content_type,
        error_type: None,
        body,
    }
}

fn render_json(operation: &str, answer: &Answer, request_id: &str) -> String {
    let body = match answer {
        Ok(output) => serde_json::json!({ format!("{operation}Response"): {
            format!("{operation}Result"): output,
            "ResponseMetadata": {"RequestId": request_id},
        }}),
        Err(error) => serde_json::json!({
            "Error": {"Code": error.code, "Message": error.message, "Type": kind(error)},
            "RequestId": request_id,
        }),
    };
    body.to_string()
}

fn render_xml(service: Service, operation: &str, answer: &Answer, request_id: &str) -> String {
    let namespace = version(service).1;
    let mut xml = String::with_capacity(1024);
    match answer {
        Ok(output) => {
            let _ = write!(xml, "<{operation}Response xmlns=\"{namespace}\">");
            if !output.is_null() {
                element(&mut xml, &format!("{operation}Result"), output);
            }
            xml.push_str("<ResponseMetadata>");
            element(&mut xml, "RequestId", &request_id.into());
            let _ = write!(xml, "</ResponseMetadata></{operation}Response>");
        }
        Err(error) => {
            let _ = write!(xml, "<ErrorResponse xmlns=\"{namespace}\"><Error>");
            element(&mut xml, "Type", &kind(error).into());
            element(&mut xml, "Code", &error.code.into());
            element(&mut xml, "Message", &error.message.as_str().into());
            xml.push_str("</Error>");
            element(&mut xml, "RequestId", &request_id.into());
            xml.push_str("</ErrorResponse>");
        }
    }
    xml
}

/// Whose fault it is.
fn kind(error: &ApiError) -> &'static str {
    if error.status >= 500 { "Receiver" } else { "Sender" }
}

fn element(xml: &mut String, name: &str, value: &Value) {
    let content = |xml: &mut String| match value {
        Value::Null => {}
        Value::Bool(flag) => xml.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => xml.push_str(&number.to_string()),
        Value::String(text) => escape(xml, text),
        Value::Array(items) => items.iter().for_each(|item| element(xml, "member", item)),
        Value::Object(members) => members.iter().for_each(|(name, value)| element(xml, name, value)),
    };
    if value.is_null() {
        return;
    }
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    content(xml);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

fn escape(xml: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, Service, decode_form, member, render_xml};
    use crate::aws::contract::ApiError;
    use crate::aws::operations;

    #[test]
    fn lists_and_structures_arrive_as_the_model_names_them() {
        let form =
            decode_form("Tags.member.1.Key=a+b&Tags.member.1.Value=&Tags.member.2.Key=c%2Bd&Tags.member.2.Value=x&L=");
        let tags = member(&Kind::Tags, &form, "Tags");
        assert_eq!(
            tags,
            Some(json!([{"Key": "a b", "Value": ""}, {"Key": "c+d", "Value": "x"}]))
        );
        let texts = Kind::Texts {
            items: (0, 9),
            each: (0, 9),
            pattern: None,
        };
        assert_eq!(member(&texts, &form, "L"), Some(json!([])));
        assert_eq!(member(&texts, &form, "M"), None);
        assert_eq!(
            member(&Kind::Integer { min: 0, max: 1 }, &decode_form("N=12"), "N"),
            Some(json!(12))
        );
        let nested = [operations::optional("arn", operations::text(0, 9))];
        let form = decode_form("P.member.1.arn=q");
        let leaked: &'static [operations::Field] = Box::leak(Box::new(nested));
        assert_eq!(
            member(
                &Kind::Structures {
                    items: (0, 1),
                    of: leaked
                },
                &form,
                "P"
            ),
            Some(json!([{"arn": "q"}]))
        );
    }

    #[test]
    fn answers_are_xml_as_the_api_reference_shows_it() {
        let output = json!({"Names": ["a<b", "c&d"], "More": false, "None": null});
        assert_eq!(
            render_xml(Service::Iam, "ListX", &Ok(output), "r-1"),
            "<ListXResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListXResult><More>false</More><Names>\
             <member>a&lt;b</member><member>c&amp;d</member></Names></ListXResult><ResponseMetadata><RequestId>r-1\
             </RequestId></ResponseMetadata></ListXResponse>"
        );
        let error = render_xml(
            Service::Sts,
            "X",
            &Err(ApiError::new(503, "ServiceUnavailable", "later")),
            "r-2",
        );
        assert!(
            error.contains(
                "<Error><Type>Receiver</Type><Code>ServiceUnavailable</Code><Message>later</Message></Error>"
            )
        );
        assert!(error.ends_with("<RequestId>r-2</RequestId></ErrorResponse>"));
    }
}
