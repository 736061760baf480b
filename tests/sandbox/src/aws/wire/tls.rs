//! The sandbox's certificate authority, and the certificates that it gives to AWS's hosts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::aws::StartError;

/// A certificate authority that lives as long as its sandbox does. Its key never leaves memory.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// One key for every host: a host's certificate is then a single signature away.
    key: KeyPair,
    hosts: Mutex<HashMap<String, Arc<ServerConfig>>>,
    folder: PathBuf,
}

impl Authority {
    /// Makes an authority, and a folder of its own with the certificate in `ca.pem`; the folder goes with it.
    pub(super) fn create() -> Result<Self, StartError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Mooring sandbox: AWS on this machine only");
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let signing_key = KeyPair::generate()?;
        let certificate = params.self_signed(&signing_key)?;
        let folder =
            std::env::temp_dir().join(format!("mooring-aws-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&folder).map_err(|source| StartError::folder(&folder, source))?;
        let authority = Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, signing_key),
            key: KeyPair::generate()?,
            hosts: Mutex::default(),
            folder,
        };
        let bundle = authority.bundle();
        std::fs::write(&bundle, certificate.pem()).map_err(|source| StartError::folder(&bundle, source))?;
        Ok(authority)
    }

    /// The authority's certificate as a PEM file: what `AWS_CA_BUNDLE` names.
    pub(super) fn bundle(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A folder that is removed with the authority.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to end TLS as `host`.
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, StartError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = hosts.get(host) {
            return Ok(Arc::clone(config));
        }
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let leaf = params.signed_by(&self.key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        hosts.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
