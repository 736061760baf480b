//! How values of flags are written.

use std::time::Duration;

/// Reads `1h30m`, `10m`, `90s`: whole numbers, each with its unit (h, m, s), the largest first.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration of at least 1s: write it as in 90s, 10m or 1h30m");
    let mut rest = text;
    let mut seconds = 0_u64;
    for (unit, length) in [('h', 3600_u64), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
            let number: u64 = digits.then(|| number.parse().ok()).flatten().ok_or_else(wrong)?;
            let part = number.checked_mul(length).ok_or_else(wrong)?;
            seconds = seconds.checked_add(part).ok_or_else(wrong)?;
            rest = after;
        }
    }
    // A year is more than anybody means, and keeps sums of times from overflowing.
    let sensible = (1..=365 * 24 * 3600).contains(&seconds);
    if rest.is_empty() && sensible {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(wrong())
    }
}

/// Reads an OIDC issuer as AWS gives it.
pub(super) fn issuer(text: &str) -> Result<String, String> {
    match text.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && !rest.ends_with('/') => Ok(text.to_owned()),
        Some(_) | None => Err(format!(
            "{text:?} is not an OIDC issuer: write it as in https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF, without a slash at the end"
        )),
    }
}
