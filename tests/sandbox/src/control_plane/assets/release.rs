//! The official envtest release: Kubernetes' own binaries, packed by controller-tools.

use std::{ffi::OsString, fmt::Write as _, fs::File, io::Read, path::Path, time::Duration};

use sha2::{Digest, Sha512};

use super::{
    AssetsError, Attempt, platform,
    progress::{run, say},
};
use crate::control_plane::guard::on_path;

/// The newest stable release that controller-tools lists.
const VERSION: &str = "v1.36.2";

/// The digests of `envtest-releases.yaml` in kubernetes-sigs/controller-tools at commit
/// 434758187dddcaf646276fbe2c2ba40ff4e859d5 (they are SHA-512: its `hack/envtest/*/Dockerfile` make them).
const SHA512: [(&str, &str); 4] = [
    (
        "darwin-amd64",
        "b4fe9f973cd1992e3880f8b230ed32c0c243b83371591e3e3315f4404df2cdbef8ee94eeb9bb245b7e5feb987d5c4a76c43e0877654ab73f00d7bbc2b9984514",
    ),
    (
        "darwin-arm64",
        "9278f9e5af556b2f1f2d139769c1f0d717c7b4426917fdebdba898bcb725a916e4910d6160886194ff9be9589ea7c5c32c2b8ae0754703874b7c8ba8ddfc41ce",
    ),
    (
        "linux-amd64",
        "ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dcf30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08",
    ),
    (
        "linux-arm64",
        "2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae28181afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac",
    ),
];

/// One archive of etcd and kube-apiserver, and what it must hash to.
#[derive(Debug, Clone)]
pub struct Release {
    /// The version of Kubernetes in it.
    pub version: &'static str,
    /// Where it is.
    pub url: String,
    /// Its SHA-512 in lower-case hex.
    pub sha512: String,
}

impl Release {
    pub(super) fn for_this_machine() -> Option<Self> {
        let platform = platform();
        let (_, sha512) = SHA512.iter().find(|(name, _)| *name == platform)?;
        let base = "https://github.com/kubernetes-sigs/controller-tools/releases/download";
        let url = format!("{base}/envtest-{VERSION}/envtest-{VERSION}-{platform}.tar.gz");
        Some(Self {
            version: VERSION,
            url,
            sha512: (*sha512).to_owned(),
        })
    }

    /// Downloads into `work`, and unpacks both programs into `work/made` if the digest is the pinned one. A host that
    /// does not answer within 3 s, or stalls for 15 s, is passed over.
    pub(super) fn download(&self, work: &Path, every: Duration) -> Result<Attempt, AssetsError> {
        let (Some(curl), Some(tar)) = (on_path("curl"), on_path("tar")) else {
            return Ok(Attempt::PassedOver(
                "curl or tar is not installed: the envtest release is not tried".to_owned(),
            ));
        };
        say(&format!("trying the envtest release {}", self.url));
        let archive = work.join("release.tar.gz");
        let mut args: Vec<OsString> = [
            "--fail",
            "--location",
            "--silent",
            "--show-error",
            "--connect-timeout",
            "3",
        ]
        .into_iter()
        .chain([
            "--speed-limit",
            "1024",
            "--speed-time",
            "15",
            "--proto-redir",
            "=https",
            "--output",
        ])
        .map(Into::into)
        .collect();
        args.extend([archive.clone().into(), (&self.url).into()]);
        let ended = run("downloading", every, &curl, &args, work, &[])?;
        if !ended.success() {
            return Ok(Attempt::PassedOver(format!(
                "the envtest release is passed over: {}",
                ended.last_line()
            )));
        }
        let found = digest(&archive)?;
        if found != self.sha512 {
            return Err(AssetsError::Checksum {
                url: self.url.clone(),
                found,
                pinned: self.sha512.clone(),
            });
        }
        let mut args: Vec<OsString> = vec!["-xzf".into(), archive.into(), "-C".into(), work.join("made").into()];
        args.extend(["--strip-components=2", "controller-tools/envtest/etcd"].map(Into::into));
        args.push("controller-tools/envtest/kube-apiserver".into());
        let ended = run("unpacking", every, &tar, &args, work, &[])?;
        if !ended.success() {
            return Ok(Attempt::PassedOver(format!(
                "the envtest release does not unpack: {}",
                ended.last_line()
            )));
        }
        Ok(Attempt::Made)
    }
}

fn digest(path: &Path) -> Result<String, AssetsError> {
    let failed = |source| AssetsError::Cache {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
