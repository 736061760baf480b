//! Keys and certificates of one control plane.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType,
};

use super::Error;

/// A certificate and its key, both PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The cluster's certificate authority: it signs the server's certificate and those of users.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The key that signs service account tokens. RSA, so that tokens are RS256 as EKS's are.
pub(super) struct TokenKey {
    pub(super) private: String,
    pub(super) public: String,
}

fn failed(subject: &'static str) -> impl Fn(rcgen::Error) -> Error {
    move |source| Error::Certificate {
        subject,
        source: source.into(),
    }
}

impl Authority {
    pub(super) fn new() -> Result<Self, Error> {
        let failed = failed("certificate authority");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let key = KeyPair::generate().map_err(&failed)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(failed)
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// The API server's own certificate, for loopback only.
    pub(super) fn server(&self) -> Result<Identity, Error> {
        let names: Vec<String> = vec!["localhost".to_owned(), "kubernetes.default.svc".to_owned()];
        let mut params = CertificateParams::new(names).map_err(failed("server certificate"))?;
        params
            .subject_alt_names
            .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, "kube-apiserver", "server certificate")
    }

    /// A user's certificate: Kubernetes takes the common name as the user and organisations as groups.
    pub(super) fn user(&self, name: &str, groups: &[&str]) -> Result<Identity, Error> {
        let mut params = CertificateParams::default();
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, name, "user certificate")
    }

    fn sign(&self, mut params: CertificateParams, name: &str, subject: &'static str) -> Result<Identity, Error> {
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(failed(subject))?;
        let certificate = params.signed_by(&key, &self.0).map_err(failed(subject))?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl TokenKey {
    pub(super) fn new() -> Result<Self, Error> {
        let key =
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed("token signing key"))?;
        Ok(Self {
            private: key.serialize_pem(),
            public: key.public_key_pem(),
        })
    }
}
