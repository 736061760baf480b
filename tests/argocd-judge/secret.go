package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/argoproj/argo-cd/v3/common"
	appv1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/db"
	corev1 "k8s.io/api/core/v1"
)

// reading is what Argo CD makes of one cluster Secret. It names no credential.
type reading struct {
	// SecretName is the Secret's own name.
	SecretName string `json:"secretName"`
	// ArgocdSecretName is the name that `argocd cluster add` gives this server, and by which alone it finds out that
	// the cluster is there already. Empty where the server is not a URL.
	ArgocdSecretName string `json:"argocdSecretName"`

	Name             string            `json:"name"`
	Server           string            `json:"server"`
	Namespaces       []string          `json:"namespaces"`
	ClusterResources bool              `json:"clusterResources"`
	Project          string            `json:"project"`
	Shard            *int64            `json:"shard"`
	Labels           map[string]string `json:"labels"`
	Annotations      map[string]string `json:"annotations"`

	// CanonicalConfig tells whether `config` is byte for byte what Argo CD would write, so that its next rewrite of
	// the Secret changes nothing.
	CanonicalConfig bool                 `json:"canonicalConfig"`
	AWSAuthConfig   *appv1.AWSAuthConfig `json:"awsAuthConfig,omitempty"`
	TLS             tlsReading           `json:"tls"`
	Exec            *execReading         `json:"exec,omitempty"`
}

// tlsReading is how the server will be verified.
type tlsReading struct {
	Insecure   bool   `json:"insecure"`
	ServerName string `json:"serverName,omitempty"`
	// CAData is the PEM text, decoded.
	CAData string `json:"caData"`
}

// execReading is the program that Argo CD will run for a token.
type execReading struct {
	APIVersion string   `json:"apiVersion"`
	Command    string   `json:"command"`
	Args       []string `json:"args"`
}

func secretCommand(args []string, in io.Reader, out, errs io.Writer) int {
	source, err := input(args, in)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge secret: %v\n", err)
		return wrongUsage
	}
	defer source.Close()
	secrets, err := readSecrets(source)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge secret: %v\n", err)
		return refused
	}
	code := asExpected
	for i := range secrets {
		_, read, err := judge(&secrets[i])
		if err != nil {
			fmt.Fprintf(errs, "argocd-judge secret: Secret %q: %v\n", secrets[i].Name, err)
			code = refused
			continue
		}
		if err := printLine(out, read); err != nil {
			fmt.Fprintf(errs, "argocd-judge secret: %v\n", err)
			return refused
		}
	}
	return code
}

// readSecrets reads one or more JSON documents, each a Secret.
func readSecrets(source io.Reader) ([]corev1.Secret, error) {
	var secrets []corev1.Secret
	decoder := json.NewDecoder(source)
	for {
		var secret corev1.Secret
		err := decoder.Decode(&secret)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not a Secret in JSON: %w", err)
		}
		if secret.Kind != "" && secret.Kind != "Secret" {
			return nil, fmt.Errorf("not a Secret but a %s: a list is to be split into its items", secret.Kind)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, errors.New("no Secret was given")
	}
	return secrets, nil
}

// judge reads the Secret with Argo CD's code, up to the REST configuration that its components dial with, whose TLS
// material is parsed on the way. Nothing is dialled.
func judge(secret *corev1.Secret) (*appv1.Cluster, *reading, error) {
	if value := secret.Labels[common.LabelKeySecretType]; value != common.LabelValueSecretTypeCluster {
		return nil, nil, fmt.Errorf("Argo CD does not look at it: its label %s is %q and not %q",
			common.LabelKeySecretType, value, common.LabelValueSecretTypeCluster)
	}
	cluster, err := db.SecretToCluster(secret)
	if err != nil {
		return nil, nil, err
	}
	if _, err := cluster.RESTConfig(); err != nil {
		return nil, nil, err
	}
	// RESTConfig hides the program and the CA inside its transport; this is the same configuration one step before.
	raw, err := cluster.RawRestConfig()
	if err != nil {
		return nil, nil, err
	}
	canonical, err := json.Marshal(cluster.Config)
	if err != nil {
		return nil, nil, err
	}
	read := &reading{
		SecretName:       secret.Name,
		Name:             cluster.Name,
		Server:           cluster.Server,
		Namespaces:       cluster.Namespaces,
		ClusterResources: cluster.ClusterResources,
		Project:          cluster.Project,
		Shard:            cluster.Shard,
		Labels:           cluster.Labels,
		Annotations:      cluster.Annotations,
		CanonicalConfig:  bytes.Equal(canonical, secret.Data["config"]),
		AWSAuthConfig:    cluster.Config.AWSAuthConfig,
		TLS: tlsReading{
			Insecure:   raw.Insecure,
			ServerName: raw.ServerName,
			CAData:     string(raw.CAData),
		},
	}
	if name, err := db.URIToSecretName("cluster", cluster.Server); err == nil {
		read.ArgocdSecretName = name
	}
	if raw.ExecProvider != nil {
		read.Exec = &execReading{
			APIVersion: raw.ExecProvider.APIVersion,
			Command:    raw.ExecProvider.Command,
			Args:       raw.ExecProvider.Args,
		}
	}
	return cluster, read, nil
}

// printLine writes one value as one line of JSON.
func printLine(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
