//! Issuers of web identity tokens: their keys, and the verification of what they signed (RFC 7515, RFC 7517).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys of one issuer.
#[derive(Debug)]
pub(in crate::aws) struct Issuer {
    keys: Vec<Jwk>,
}

#[derive(Debug, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Debug, Deserialize)]
struct Jwk {
    kid: Option<String>,
    #[serde(flatten)]
    key: Key,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kty")]
enum Key {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Ec { x: String, y: String },
}

/// A token taken apart, not yet verified.
#[derive(Debug)]
pub(in crate::aws) struct Identity {
    algorithm: String,
    kid: Option<String>,
    claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

impl Issuer {
    pub(super) fn parse(jwks: &str) -> Result<Self, serde_json::Error> {
        let Jwks { keys } = serde_json::from_str(jwks)?;
        Ok(Self { keys })
    }

    /// The key that a token names, or the only one; `None` when there is none.
    fn key(&self, kid: Option<&str>) -> Option<&Jwk> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            (None, [one]) => Some(one),
            (None, _) => None,
        }
    }

    /// Whether the issuer signed a token; `None` when it has no such key. RS256 and ES256, as Kubernetes signs.
    pub(in crate::aws) fn signed(&self, token: &Identity) -> Option<bool> {
        let key = self.key(token.kid.as_deref())?;
        let message = token.signed.as_bytes();
        let verified = match (&key.key, token.algorithm.as_str()) {
            (Key::Rsa { n, e }, "RS256") => {
                let key = RsaPublicKeyComponents {
                    n: decode(n)?,
                    e: decode(e)?,
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, &token.signature)
                    .is_ok()
            }
            (Key::Ec { x, y }, "ES256") => {
                let point: Vec<u8> = std::iter::once(4).chain(decode(x)?).chain(decode(y)?).collect();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, &token.signature)
                    .is_ok()
            }
            (Key::Rsa { .. } | Key::Ec { .. }, _) => false,
        };
        Some(verified)
    }
}

impl Identity {
    /// Takes a compact JWT apart; `None` when it is none.
    pub(in crate::aws) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let fields: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        Some(Self {
            algorithm: fields.get("alg")?.as_str()?.to_owned(),
            kid: fields.get("kid").and_then(Value::as_str).map(str::to_owned),
            claims: serde_json::from_slice(&decode(payload)?).ok()?,
            signed: format!("{header}.{payload}"),
            signature: decode(signature)?,
        })
    }

    /// A claim that is a text: `iss`, `sub`.
    pub(in crate::aws) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a time, in seconds since 1970: `exp`, `nbf`, `iat`.
    pub(in crate::aws) fn time(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim)?.as_i64()
    }

    /// The audiences; with the claim `azp` that alone, as IAM reads it.
    pub(in crate::aws) fn audiences(&self) -> Vec<String> {
        let claim = self.claims.get("azp").or_else(|| self.claims.get("aud"));
        claim.map(crate::aws::service::strings).unwrap_or_default()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
