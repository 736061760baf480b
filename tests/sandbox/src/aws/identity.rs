//! Who a caller is, as a cluster's authenticator reads it from the answer to `GetCallerIdentity`.

use serde_json::{Value, json};

use super::contract::Caller;

/// The keys under which the authenticator tells the API server of an identity (`UserInfo.extra`).
const EXTRA: [&str; 5] = ["arn", "canonicalArn", "accessKeyId", "principalId", "sessionName"];

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::aws) struct Identity {
    /// As `GetCallerIdentity` gives it.
    pub(in crate::aws) arn: String,
    /// The ARN in IAM: of an assumed role, the role's, without the path that `GetCallerIdentity` does not tell.
    pub(in crate::aws) canonical_arn: String,
    /// 12 digits.
    pub(in crate::aws) account: String,
    /// The unique ID, `AROA...`.
    pub(in crate::aws) user_id: String,
    /// The session's name; empty for what is no session.
    pub(in crate::aws) session_name: String,
    /// The access key that signed; empty where none is known.
    pub(in crate::aws) access_key_id: String,
}

impl Identity {
    /// Reads `Arn`, `Account` and `UserId`.
    ///
    /// # Errors
    /// When the ARN is that of nothing that can sign, or the user ID has no form that is known.
    pub(in crate::aws) fn new(arn: &str, account: &str, user_id: &str, access_key_id: &str) -> Result<Self, String> {
        let parts: Vec<&str> = user_id.split(':').collect();
        let (user_id, session_name) = match parts.as_slice() {
            [id] => (*id, ""),
            [id, session] => (*id, *session),
            _ => return Err(format!("malformed UserID {user_id:?}")),
        };
        Ok(Self {
            arn: arn.to_owned(),
            canonical_arn: canonical(arn)?,
            account: account.to_owned(),
            user_id: user_id.to_owned(),
            session_name: session_name.to_owned(),
            access_key_id: access_key_id.to_owned(),
        })
    }

    /// The identity of a caller that the fake knows; `None` for one that no cluster would take.
    pub(in crate::aws) fn of(caller: &Caller) -> Option<Self> {
        Self::new(&caller.arn, &caller.account, &caller.user_id, "").ok()
    }

    /// `UserInfo.uid`: it tells apart principals that had the same name one after the other.
    pub(in crate::aws) fn uid(&self) -> String {
        format!("aws-iam-authenticator:{}:{}", self.account, self.user_id)
    }

    /// `UserInfo.extra`.
    pub(in crate::aws) fn extra(&self) -> Value {
        let values = [
            &self.arn,
            &self.canonical_arn,
            &self.access_key_id,
            &self.user_id,
            &self.session_name,
        ];
        EXTRA
            .iter()
            .zip(values)
            .map(|(key, value)| ((*key).to_owned(), json!([value])))
            .collect()
    }

    /// Reads `extra` back, as the API server passes it on to an authorizer. `None` for a user whom the authenticator
    /// did not name: a service account, a certificate, or whoever is impersonated, since impersonation leaves `extra`
    /// out.
    pub(in crate::aws) fn of_extra(extra: &Value) -> Option<Self> {
        let [arn, _, access_key_id, user_id, session] = EXTRA.map(|key| extra[key][0].as_str().unwrap_or_default());
        let account = arn.split(':').nth(4)?;
        let mut identity = Self::new(arn, account, user_id, access_key_id).ok()?;
        session.clone_into(&mut identity.session_name);
        (!identity.user_id.is_empty()).then_some(identity)
    }

    /// Fills in a user name's variables.
    pub(in crate::aws) fn fill(&self, template: &str) -> String {
        template
            .replace("{{AccountID}}", &self.account)
            .replace("{{SessionNameRaw}}", &self.session_name)
            .replace("{{SessionName}}", &self.session_name.replace('@', "-"))
    }
}

/// `arn:P:sts::A:assumed-role/NAME/SESSION` is `arn:P:iam::A:role/NAME`; what is of IAM already stays.
fn canonical(arn: &str) -> Result<String, String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = parts.as_slice() else {
        return Err(format!("arn {arn:?} is invalid"));
    };
    let unknown = || format!("unrecognized resource {resource} for service {service}");
    match (*service, resource.split_once('/')) {
        ("iam", None) if *resource == "root" => Ok(arn.to_owned()),
        ("iam", Some(("role" | "user", _))) | ("sts", Some(("federated-user", _))) => Ok(arn.to_owned()),
        ("sts", Some(("assumed-role", rest))) => {
            let (role, _) = rest.rsplit_once('/').ok_or_else(unknown)?;
            Ok(format!("arn:{partition}:iam::{account}:role/{role}"))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_its_role() {
        let identity = Identity::new(
            "arn:aws-cn:sts::111111111111:assumed-role/deployer/a@b",
            "111111111111",
            "AROAEXAMPLE:a@b",
            "ASIAEXAMPLE",
        )
        .unwrap();
        assert_eq!(identity.canonical_arn, "arn:aws-cn:iam::111111111111:role/deployer");
        assert_eq!(identity.uid(), "aws-iam-authenticator:111111111111:AROAEXAMPLE");
        assert_eq!(
            identity.fill("{{AccountID}}:{{SessionName}}:{{SessionNameRaw}}"),
            "111111111111:a-b:a@b"
        );
        assert_eq!(Identity::of_extra(&identity.extra()), Some(identity));
    }

    #[test]
    fn what_is_no_principal_is_none() {
        for arn in [
            "arn:aws:sts::111111111111:assumed-role/only-a-name",
            "arn:aws:s3:::bucket",
            "arn:aws:iam::111111111111:policy/p",
            "root",
        ] {
            assert!(Identity::new(arn, "111111111111", "AROA:s", "").is_err(), "{arn}");
        }
        assert!(Identity::new("arn:aws:iam::111111111111:root", "111111111111", "a:b:c", "").is_err());
        assert_eq!(Identity::of_extra(&Value::Null), None);
    }
}
