//! What tells one certificate authority from another.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate authority's PEM, one block or several, byte for byte: 64 hex digits.
#[must_use]
pub fn fingerprint(pem: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(pem).into();
    let mut hex = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The same of a certificate authority as EKS gives it, in base64 (EKS API, `Certificate`); `None` when it is not that.
#[must_use]
pub fn fingerprint_of_base64(data: &str) -> Option<String> {
    STANDARD.decode(data).ok().map(|pem| fingerprint(&pem))
}

/// How many certificates there are in a certificate authority as EKS gives it: two while it rotates from one to another.
#[must_use]
pub fn certificates_in_base64(data: &str) -> usize {
    let pem = STANDARD.decode(data).unwrap_or_default();
    let begin = b"-----BEGIN CERTIFICATE-----";
    pem.windows(begin.len()).filter(|window| window == begin).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the example of one block.
    #[test]
    fn the_fingerprint_is_sha_256_in_hex() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(b"abc"), of_abc);
        assert_eq!(fingerprint_of_base64("YWJj").as_deref(), Some(of_abc));
        assert_eq!(fingerprint_of_base64("not base64 !"), None);
    }

    #[test]
    fn certificates_are_counted() {
        let one = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        for (pem, count) in [(one.to_owned(), 1), (format!("{one}{one}"), 2), ("abc".to_owned(), 0)] {
            assert_eq!(certificates_in_base64(&STANDARD.encode(pem)), count);
        }
        assert_eq!(certificates_in_base64("not base64 !"), 0);
    }
}
