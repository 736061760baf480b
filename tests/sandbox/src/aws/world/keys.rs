//! Credentials and unique IDs.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Role, State};
use crate::aws::authz::Document;
use crate::aws::contract::{Caller, RoleSession};

/// Credentials as they are given to a client.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA...` for an account's root, `ASIA...` for a session.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// The session token, of a session.
    pub session_token: Option<String>,
    /// When a session ends.
    pub expiration: Option<Timestamp>,
}

/// What the world knows of an access key.
#[derive(Clone)]
pub struct KeyRecord {
    /// The secret that signatures are verified with.
    pub secret_access_key: String,
    /// The token that a request of a session must carry.
    pub session_token: Option<String>,
    /// When a session ends.
    pub expiration: Option<Timestamp>,
    /// Whose key it is.
    pub caller: Caller,
}

impl Credentials {
    /// The credentials in an answer of `AssumeRole` or `AssumeRoleWithWebIdentity`; `None` when there are none.
    #[must_use]
    pub fn of_answer(answer: &Value) -> Option<Self> {
        let given = &answer["Credentials"];
        let text = |member: &str| given[member].as_str().map(str::to_owned);
        Some(Self {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: text("SecretAccessKey")?,
            session_token: text("SessionToken"),
            expiration: text("Expiration").and_then(|time| time.parse().ok()),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("caller", &self.caller.arn)
            .finish_non_exhaustive()
    }
}

/// Characters of a session token that carries neither policy nor tags.
const TOKEN: usize = 600;
/// Characters that a session token has at most.
pub(in crate::aws) const LONGEST_TOKEN: usize = 4_096;

/// What a new session of a role is to have.
#[derive(Debug)]
pub(in crate::aws) struct NewSession {
    pub(in crate::aws) name: String,
    pub(in crate::aws) seconds: i64,
    pub(in crate::aws) tags: BTreeMap<String, String>,
    pub(in crate::aws) transitive: Vec<String>,
    /// The session policy, as text and parsed.
    pub(in crate::aws) policy: Option<(String, Document)>,
    pub(in crate::aws) chained: bool,
    /// Bytes that the session token has at least: 4,096 at most.
    pub(in crate::aws) least_token: usize,
}

impl NewSession {
    /// A session of one hour with nothing but a name.
    pub(in crate::aws) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            seconds: 3_600,
            tags: BTreeMap::new(),
            transitive: Vec::new(),
            policy: None,
            chained: false,
            least_token: 0,
        }
    }
}

/// Unique IDs that never come again (IAM user guide, `reference_identifiers`, "unique identifiers").
#[derive(Debug, Default)]
pub(in crate::aws) struct Ids {
    issued: u64,
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const COUNTED: usize = 7;

impl Ids {
    /// The prefix and `length` upper-case letters and digits: the last seven count, the others are random.
    pub(in crate::aws) fn unique(&mut self, prefix: &str, length: usize) -> String {
        self.issued += 1;
        let random = (0..length.saturating_sub(COUNTED)).map(|_| fastrand::usize(..ALPHABET.len()));
        let counted = (0..COUNTED)
            .rev()
            .map(|place| usize::try_from((self.issued >> (5 * place)) & 31).unwrap_or(0));
        let letters = random.chain(counted).map(|letter| char::from(ALPHABET[letter]));
        prefix.chars().chain(letters).collect()
    }
}

fn random(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..length)
        .map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())]))
        .collect()
}

impl State {
    /// Makes an access key for a caller; `session` says how long the token is and when it ends.
    pub(super) fn issue(&mut self, caller: Caller, session: Option<(usize, Timestamp)>) -> Credentials {
        let prefix = if session.is_some() { "ASIA" } else { "AKIA" };
        let credentials = Credentials {
            access_key_id: self.ids.unique(prefix, 16),
            secret_access_key: random(40),
            session_token: session.map(|(length, _)| random(length)),
            expiration: session.map(|(_, expiration)| expiration),
        };
        let record = KeyRecord {
            secret_access_key: credentials.secret_access_key.clone(),
            session_token: credentials.session_token.clone(),
            expiration: credentials.expiration,
            caller,
        };
        self.keys_mut().insert(credentials.access_key_id.clone(), record);
        credentials
    }

    /// Opens a session of a role. What it carries makes its token longer, as in AWS, where policy and tags travel in
    /// it: that is how a bearer token for EKS can become too long.
    pub(in crate::aws) fn open_session(&mut self, role: &Role, session: NewSession) -> Credentials {
        let account = role.account.clone();
        let partition = self.account(&account).map_or("aws", |account| account.partition);
        let carried = session.policy.as_ref().map_or(0, |(text, _)| text.len())
            + session
                .tags
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
        let now = self.timestamp();
        let expiration = now
            .checked_add(SignedDuration::from_secs(session.seconds))
            .unwrap_or(now);
        let caller = Caller {
            arn: format!(
                "arn:{partition}:sts::{account}:assumed-role/{}/{}",
                role.name, session.name
            ),
            user_id: format!("{}:{}", role.id, session.name),
            account,
            session: Some(RoleSession {
                role_arn: role.arn.clone(),
                role_id: role.id.clone(),
                role_name: role.name.clone(),
                session_name: session.name,
                policy: session.policy.as_ref().map(|(text, _)| text.clone()),
                tags: session.tags,
                transitive: session.transitive,
                chained: session.chained,
            }),
        };
        let token = session.least_token.max(TOKEN + carried).min(LONGEST_TOKEN);
        if let Some((text, document)) = session.policy {
            self.session_policies.insert(text, document);
        }
        self.issue(caller, Some((token, expiration)))
    }
}
