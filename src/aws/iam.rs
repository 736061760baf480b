//! IAM: roles, their policies, and OIDC providers.

use std::collections::BTreeSet;

use aws_sdk_iam::types;
use percent_encoding::percent_decode_str;

use super::{
    calls::Call,
    error::{AwsError, ErrorKind},
    role::{LONGEST_SESSION, OidcProvider, Role, RolePolicies, WantedRole},
    session::Account,
};
use crate::{
    domain::{
        arn::{OidcProviderArn, PolicyArn},
        name::RoleName,
        ownership::Tags,
    },
    policy::{AUDIENCE, Document},
};

impl Account {
    /// The role of that name, whatever its path, or `None`.
    ///
    /// # Errors
    /// When IAM cannot be asked, or refuses.
    pub async fn role(&self, name: &RoleName) -> Result<Option<Role>, AwsError> {
        let request = self.iam.get_role().role_name(name.as_str());
        let answer = self.call(Call::GetRole, &self.role_arn(name), request.send()).await;
        Ok(absent(answer)?.and_then(|answer| answer.role).map(role))
    }

    /// The policies that a role carries; none when there is no such role.
    ///
    /// # Errors
    /// When IAM cannot be asked, or refuses.
    pub async fn role_policies(&self, name: &RoleName) -> Result<RolePolicies, AwsError> {
        let (inline, attached) = futures::future::try_join(
            Box::pin(self.inline_policies(name)),
            Box::pin(self.attached_policies(name)),
        )
        .await?;
        Ok(RolePolicies { inline, attached })
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        let resource = &self.role_arn(name);
        all_pages(|marker| async move {
            let request = self.iam.list_role_policies();
            let request = request.role_name(name.as_str()).set_marker(marker);
            let answer = self.call(Call::ListRolePolicies, resource, request.send()).await;
            Ok(absent(answer)?.map(|answer| Page {
                names: answer.policy_names,
                next: answer.marker.filter(|_| answer.is_truncated),
            }))
        })
        .await
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        let resource = &self.role_arn(name);
        all_pages(|marker| async move {
            let request = self.iam.list_attached_role_policies();
            let request = request.role_name(name.as_str()).set_marker(marker);
            let answer = self
                .call(Call::ListAttachedRolePolicies, resource, request.send())
                .await;
            Ok(absent(answer)?.map(|answer| Page {
                names: answer
                    .attached_policies
                    .into_iter()
                    .flatten()
                    .filter_map(|policy| policy.policy_arn)
                    .collect(),
                next: answer.marker.filter(|_| answer.is_truncated),
            }))
        })
        .await
    }

    /// The ARNs of the instance profiles that hold a role; none when there is no such role.
    ///
    /// # Errors
    /// When IAM cannot be asked, or refuses.
    pub async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, AwsError> {
        let resource = &self.role_arn(name);
        all_pages(|marker| async move {
            let request = self.iam.list_instance_profiles_for_role();
            let request = request.role_name(name.as_str()).set_marker(marker);
            let answer = self
                .call(Call::ListInstanceProfilesForRole, resource, request.send())
                .await;
            Ok(absent(answer)?.map(|answer| Page {
                names: answer
                    .instance_profiles
                    .into_iter()
                    .map(|profile| profile.arn)
                    .collect(),
                next: answer.marker.filter(|_| answer.is_truncated),
            }))
        })
        .await
    }

    /// Whether a refused read of what a role carries was of a role that is gone since it was seen: AWS judges it by its
    /// name without our path then, of which only `GetRole` may be asked.
    ///
    /// # Errors
    /// The refusal, while the role is there; any other error as it is.
    pub async fn gone_since(&self, name: &RoleName, refused: AwsError) -> Result<(), AwsError> {
        if refused.kind == ErrorKind::Denied && self.role(name).await?.is_none() {
            return Ok(());
        }
        Err(refused)
    }

    /// The text of an inline policy, percent-decoded, or `None`.
    ///
    /// # Errors
    /// When IAM cannot be asked, or refuses.
    pub async fn role_policy(&self, role: &RoleName, policy: &str) -> Result<Option<String>, AwsError> {
        let request = self.iam.get_role_policy().role_name(role.as_str()).policy_name(policy);
        let answer = self
            .call(Call::GetRolePolicy, &self.role_arn(role), request.send())
            .await;
        Ok(absent(answer)?.map(|answer| decoded(&answer.policy_document)))
    }

    /// Makes a role, with its boundary and tags from the start.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] (names do not differ by path or case), [`ErrorKind::InvalidPrincipal`] while IAM
    /// does not see a principal of the trust policy, and others.
    pub async fn create_role(&self, wanted: &WantedRole) -> Result<Role, AwsError> {
        let resource = wanted.arn.to_string();
        let request = self
            .iam
            .create_role()
            .path(&wanted.arn.path)
            .role_name(wanted.arn.name.as_str())
            .assume_role_policy_document(wanted.trust.to_json())
            .permissions_boundary(wanted.boundary.to_string())
            .description(&wanted.description)
            .set_tags(Some(self.sdk_tags(Call::CreateRole, &resource, &wanted.tags)?));
        let answer = self.call(Call::CreateRole, &resource, request.send()).await?;
        answer
            .role
            .map(role)
            .ok_or_else(|| self.invalid(Call::CreateRole, &resource, "the answer holds no role".to_owned()))
    }

    /// Replaces a role's trust policy.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPrincipal`], [`ErrorKind::NotFound`] and others.
    pub async fn set_trust(&self, name: &RoleName, trust: &Document) -> Result<(), AwsError> {
        let request = self
            .iam
            .update_assume_role_policy()
            .role_name(name.as_str())
            .policy_document(trust.to_json());
        self.call(Call::UpdateAssumeRolePolicy, &self.role_arn(name), request.send())
            .await?;
        Ok(())
    }

    /// Sets a role's permissions boundary.
    ///
    /// # Errors
    /// When IAM refuses, or the role is gone.
    pub async fn set_boundary(&self, name: &RoleName, boundary: &PolicyArn) -> Result<(), AwsError> {
        let request = self.iam.put_role_permissions_boundary();
        let request = request
            .role_name(name.as_str())
            .permissions_boundary(boundary.to_string());
        self.call(Call::PutRolePermissionsBoundary, &self.role_arn(name), request.send())
            .await?;
        Ok(())
    }

    /// Sets a role's description, and how long its sessions may last to [`LONGEST_SESSION`].
    ///
    /// # Errors
    /// When IAM refuses, or the role is gone.
    pub async fn update_role(&self, name: &RoleName, description: &str) -> Result<(), AwsError> {
        let request = self.iam.update_role().role_name(name.as_str());
        let request = request.description(description).max_session_duration(LONGEST_SESSION);
        self.call(Call::UpdateRole, &self.role_arn(name), request.send())
            .await?;
        Ok(())
    }

    /// Puts tags on a role; others stay. Send the full set of ours: the provisioner may tag only with the hub's.
    ///
    /// # Errors
    /// When IAM refuses, or the role is gone.
    pub async fn tag_role(&self, name: &RoleName, tags: &Tags) -> Result<(), AwsError> {
        let resource = self.role_arn(name);
        let tags = self.sdk_tags(Call::TagRole, &resource, tags)?;
        let request = self.iam.tag_role().role_name(name.as_str()).set_tags(Some(tags));
        self.call(Call::TagRole, &resource, request.send()).await?;
        Ok(())
    }

    /// Writes an inline policy of a role.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond 10,240 characters over all inline policies of the role, and others.
    pub async fn put_role_policy(&self, role: &RoleName, policy: &str, document: &Document) -> Result<(), AwsError> {
        let request = self.iam.put_role_policy().role_name(role.as_str()).policy_name(policy);
        let request = request.policy_document(document.to_json());
        self.call(Call::PutRolePolicy, &self.role_arn(role), request.send())
            .await?;
        Ok(())
    }

    /// Deletes an inline policy of a role. That it is gone already is no error.
    ///
    /// # Errors
    /// When IAM refuses.
    pub async fn delete_role_policy(&self, role: &RoleName, policy: &str) -> Result<(), AwsError> {
        let request = self
            .iam
            .delete_role_policy()
            .role_name(role.as_str())
            .policy_name(policy);
        absent(
            self.call(Call::DeleteRolePolicy, &self.role_arn(role), request.send())
                .await,
        )
        .map(drop)
    }

    /// Deletes a role. That it is gone already is no error, also where AWS only says that it may not be deleted: a
    /// role that is not there has no boundary, by which alone the provisioner may delete.
    ///
    /// # Errors
    /// [`ErrorKind::HasPolicies`] while it carries any, and others.
    pub async fn delete_role(&self, name: &RoleName) -> Result<(), AwsError> {
        let request = self.iam.delete_role().role_name(name.as_str());
        let deleted = absent(self.call(Call::DeleteRole, &self.role_arn(name), request.send()).await).map(drop);
        match deleted {
            Err(denied) if denied.kind == ErrorKind::Denied => match self.role(name).await? {
                None => Ok(()),
                Some(_) => Err(denied),
            },
            other => other,
        }
    }

    /// The OIDC provider, or `None`.
    ///
    /// # Errors
    /// When IAM cannot be asked, or refuses.
    pub async fn oidc_provider(&self, arn: &OidcProviderArn) -> Result<Option<OidcProvider>, AwsError> {
        let resource = arn.to_string();
        let request = self
            .iam
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(&resource);
        let answer = absent(
            self.call(Call::GetOpenIdConnectProvider, &resource, request.send())
                .await,
        )?;
        Ok(answer.map(|answer| OidcProvider {
            client_ids: answer.client_id_list.unwrap_or_default().into_iter().collect(),
        }))
    }

    /// Makes the OIDC provider, with the audience for AWS and without thumbprints, which IAM finds by itself. That
    /// somebody made it in the meantime is no error.
    ///
    /// # Errors
    /// When IAM refuses, or cannot reach the issuer.
    pub async fn create_oidc_provider(&self, arn: &OidcProviderArn, tags: &Tags) -> Result<(), AwsError> {
        let (call, resource) = (Call::CreateOpenIdConnectProvider, arn.to_string());
        let request = self
            .iam
            .create_open_id_connect_provider()
            .url(format!("https://{}", arn.issuer_host_and_path))
            .client_id_list(AUDIENCE)
            .set_tags(Some(self.sdk_tags(call, &resource, tags)?));
        match self.call(call, &resource, request.send()).await {
            Ok(answer) => match answer.open_id_connect_provider_arn {
                Some(made) if made != resource => {
                    Err(self.invalid(call, &resource, format!("IAM made {made} instead")))
                }
                _ => Ok(()),
            },
            // IAM tells providers apart by URL: it is ours to use only if it stands under the ARN that we trust.
            Err(error) if error.kind == ErrorKind::AlreadyExists => match self.oidc_provider(arn).await? {
                Some(_) => Ok(()),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Adds an audience to the OIDC provider.
    ///
    /// # Errors
    /// When IAM refuses, or the provider is gone.
    pub async fn add_client_id(&self, arn: &OidcProviderArn, client_id: &str) -> Result<(), AwsError> {
        let resource = arn.to_string();
        let request = self.iam.add_client_id_to_open_id_connect_provider();
        let request = request.open_id_connect_provider_arn(&resource).client_id(client_id);
        self.call(Call::AddClientIdToOpenIdConnectProvider, &resource, request.send())
            .await?;
        Ok(())
    }

    /// IAM's calls take names only: the path is not known here.
    pub(super) fn role_arn(&self, name: &RoleName) -> String {
        format!("role {name} in account {}", self.id)
    }

    fn sdk_tags(&self, call: Call, resource: &str, tags: &Tags) -> Result<Vec<types::Tag>, AwsError> {
        tags.iter()
            .map(|(key, value)| types::Tag::builder().key(key).value(value).build())
            .collect::<Result<_, _>>()
            .map_err(|error| self.invalid(call, resource, error.to_string()))
    }
}

/// One page of a list.
struct Page {
    names: Vec<String>,
    /// What the next page is asked for by, where there is one.
    next: Option<String>,
}

/// The names of all pages; none where that is not there of which they are asked.
async fn all_pages<F>(page: impl Fn(Option<String>) -> F) -> Result<BTreeSet<String>, AwsError>
where
    F: Future<Output = Result<Option<Page>, AwsError>>,
{
    let (mut found, mut marker) = (BTreeSet::new(), None);
    loop {
        let Some(Page { names, next }) = page(marker).await? else {
            return Ok(BTreeSet::new());
        };
        found.extend(names);
        if next.is_none() {
            return Ok(found);
        }
        marker = next;
    }
}

/// `None` for exactly the code that says that it is not there.
pub(super) fn absent<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn role(from: types::Role) -> Role {
    Role {
        arn: from.arn,
        id: from.role_id,
        created: Some(from.create_date.secs()),
        name: from.role_name,
        trust: decoded(&from.assume_role_policy_document.unwrap_or_default()),
        boundary: from
            .permissions_boundary
            .and_then(|boundary| boundary.permissions_boundary_arn),
        description: from.description,
        longest_session: from.max_session_duration,
        tags: from
            .tags
            .unwrap_or_default()
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect(),
    }
}

/// A document as IAM returns it: percent-encoded by RFC 3986, where `+` is itself.
#[must_use]
pub fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_percent_decoded_and_a_plus_stays() {
        assert_eq!(decoded("%7B%22a%22%3A%22b+c%2Bd%22%7D"), r#"{"a":"b+c+d"}"#);
        assert_eq!(decoded(r#"{"raw":1}"#), r#"{"raw":1}"#);
    }
}
