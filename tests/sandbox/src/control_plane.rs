//! The control plane of the sandbox: real etcd and kube-apiserver processes.
