//! Reading a status that any release may have stored. What it recorded is never taken for nothing because another part of
//! it cannot be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads the status whole where that can be done, and otherwise by `in_parts`.
///
/// # Errors
/// Those of `in_parts`.
pub fn read<S: DeserializeOwned + Default>(
    status: Option<&Value>,
    in_parts: impl FnOnce(&Value) -> Result<S, String>,
) -> Result<S, String> {
    let Some(status) = status.filter(|status| !status.is_null()) else {
        return Ok(S::default());
    };
    serde_json::from_value(status.clone()).or_else(|_| in_parts(status))
}

/// Reads one field of a status; `None` where it is not there.
///
/// # Errors
/// Which field cannot be read, and why.
pub fn part<T: DeserializeOwned>(status: &Value, key: &str) -> Result<Option<T>, String> {
    let value = status.get(key).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| format!("status.{key}: {error}"))
}
