//! Tags of access entries, by ARN.

use serde_json::json;

use super::authorization::{request_tags, set};
use super::entries::by_arn;
use super::errors::{bad_request, no_resource};
use super::input::Input;
use super::{Call, State, rules};
use crate::aws::contract::{Answer, ApiError, Check};

/// Tags of one access entry.
const MAX_TAGS: usize = 50;

impl State {
    /// The entry of an ARN. When there is none, only who may do it anyway is told so.
    fn tagged(&self, call: &Call<'_>, arn: &str) -> Result<(String, String), ApiError> {
        by_arn(self, call, arn).or_else(|error| {
            let resource = arn.to_owned();
            call.authorize(&[Check {
                resource,
                ..call.on_anything()
            }])?;
            Err(error)
        })
    }

    pub(super) fn tag(&mut self, call: &Call<'_>) -> Answer {
        let input = Input(&call.request.input);
        let arn = input.text("resourceArn");
        let tags = input.tags();
        let (cluster, principal) = self.tagged(call, arn)?;
        let mut check = call.on_entry(self, &cluster, &principal);
        request_tags(&mut check.context, &tags);
        call.authorize(&[check])?;
        rules::tags(&cluster, &tags).map_err(|error| bad_request(error.message))?;
        let found = self.cluster_mut(call, &cluster)?;
        let mut entry = found.entry(&principal).ok_or_else(|| no_resource(arn))?.clone();
        entry.tags.extend(tags);
        if entry.tags.len() > MAX_TAGS {
            return Err(bad_request(format!(
                "The resource {arn} would have more than {MAX_TAGS} tags."
            )));
        }
        found.write(&principal, Some(entry), call);
        Ok(json!({}))
    }

    pub(super) fn untag(&mut self, call: &Call<'_>) -> Answer {
        let input = Input(&call.request.input);
        let arn = input.text("resourceArn");
        let keys = input.texts("tagKeys").unwrap_or_default();
        let (cluster, principal) = self.tagged(call, arn)?;
        let mut check = call.on_entry(self, &cluster, &principal);
        set(&mut check.context, "aws:TagKeys", keys.clone());
        call.authorize(&[check])?;
        let found = self.cluster_mut(call, &cluster)?;
        let mut entry = found.entry(&principal).ok_or_else(|| no_resource(arn))?.clone();
        entry.tags.retain(|key, _| !keys.contains(key));
        found.write(&principal, Some(entry), call);
        Ok(json!({}))
    }
}
