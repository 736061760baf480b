//! STS: who we are, and entering an account.

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;

use super::{
    cache::Session,
    calls::Call,
    error::{AwsError, ErrorKind},
    session::Door,
    wire::Wire,
};
use crate::domain::name::AccountId;

/// Who the operator is to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The ARN: of the assumed role's session, as a rule.
    pub arn: String,
}

pub(super) async fn caller(client: Client, wire: &Wire) -> Result<Caller, AwsError> {
    let acting_as: Arc<str> = "the operator's own role".into();
    let call = Call::GetCallerIdentity;
    let resource = "the operator's own credentials";
    let answer = wire
        .call(call, resource, &acting_as, client.get_caller_identity().send())
        .await?;
    let (account, arn) = (answer.account.unwrap_or_default(), answer.arn.unwrap_or_default());
    match account.parse() {
        Ok(account) if !arn.is_empty() => Ok(Caller { account, arn }),
        _ => Err(unexpected(
            call,
            resource,
            acting_as,
            "the answer names no account and no ARN",
        )),
    }
}

pub(super) async fn assume(
    client: Client,
    wire: Wire,
    door: Door,
    acting_as: Arc<str>,
) -> Result<Arc<Session>, AwsError> {
    let call = Call::AssumeRole;
    let resource = door.provisioner.to_string();
    // No duration: an hour is the default, and the most that a chained session may have (IAM user guide, "Role
    // chaining"). No tags: with Pod Identity's own they would pack too large.
    let request = client
        .assume_role()
        .role_arn(&resource)
        .role_session_name(&door.session_name)
        .set_external_id(door.external_id)
        .policy(door.session_policy.to_json());
    let answer = wire.call(call, &resource, &acting_as, request.send()).await?;
    let Some(credentials) = answer.credentials else {
        return Err(unexpected(
            call,
            &resource,
            acting_as,
            "the answer holds no credentials",
        ));
    };
    let Ok(ends) = SystemTime::try_from(credentials.expiration) else {
        return Err(unexpected(
            call,
            &resource,
            acting_as,
            "the answer's credentials end at no time that there is",
        ));
    };
    let credentials = Credentials::new(
        credentials.access_key_id,
        credentials.secret_access_key,
        Some(credentials.session_token),
        Some(ends),
        "mooring",
    );
    Ok(Arc::new(Session { credentials, ends }))
}

fn unexpected(call: Call, resource: &str, acting_as: Arc<str>, message: &str) -> AwsError {
    AwsError {
        call,
        kind: ErrorKind::Unknown,
        code: "UnexpectedAnswer".to_owned(),
        message: message.to_owned(),
        request_id: None,
        resource: resource.to_owned(),
        acting_as,
    }
}
