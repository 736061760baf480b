package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// testCA is a certificate as EKS gives one: PEM in base64.
func testCA(t *testing.T) (text, encoded string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "kubernetes"},
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return text, base64.StdEncoding.EncodeToString([]byte(text))
}

const (
	testServer = "https://ABCDEF0123456789ABCDEF0123456789.gr7.eu-west-1.eks.amazonaws.com"
	testRole   = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/prod-eu-0a1b2c3d"
)

// canonical is `config` in the bytes that Go's encoder gives.
func canonical(ca string) string {
	return `{"tlsClientConfig":{"insecure":false,"caData":"` + ca + `"},"awsAuthConfig":{"clusterName":"prod-eu","roleARN":"` + testRole + `"}}`
}

// secretJSON is a cluster Secret as the API server gives it, with the data in base64.
func secretJSON(t *testing.T, data map[string]string) string {
	t.Helper()
	encoded := map[string][]byte{}
	for key, value := range data {
		encoded[key] = []byte(value)
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name":   "cluster-prod-eu",
			"labels": map[string]string{"argocd.argoproj.io/secret-type": "cluster", "env": "prod"},
		},
		"data": encoded,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func runSecret(t *testing.T, text string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run("argocd-judge", []string{"secret"}, strings.NewReader(text), &out, &errs)
	return code, out.String(), errs.String()
}

func TestACanonicalSecretIsReadAsMeant(t *testing.T) {
	ca, encoded := testCA(t)
	code, out, errs := runSecret(t, secretJSON(t, map[string]string{
		"name": "prod-eu", "server": testServer, "config": canonical(encoded),
		"namespaces": "apps,jobs", "clusterResources": "true", "project": "payments", "shard": "2",
	}))
	if code != asExpected {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var read reading
	if err := json.Unmarshal([]byte(out), &read); err != nil {
		t.Fatal(err)
	}
	if read.Name != "prod-eu" || read.Server != testServer || read.Project != "payments" || !read.ClusterResources {
		t.Errorf("read as %+v", read)
	}
	if !slices.Equal(read.Namespaces, []string{"apps", "jobs"}) || read.Shard == nil || *read.Shard != 2 {
		t.Errorf("namespaces %v, shard %v", read.Namespaces, read.Shard)
	}
	if read.Labels["env"] != "prod" || len(read.Labels) != 1 {
		t.Errorf("labels %v", read.Labels)
	}
	if !read.CanonicalConfig || read.TLS.CAData != ca || read.TLS.Insecure {
		t.Errorf("canonical %v, TLS %+v", read.CanonicalConfig, read.TLS)
	}
	if read.AWSAuthConfig == nil || read.AWSAuthConfig.ClusterName != "prod-eu" || read.AWSAuthConfig.RoleARN != testRole {
		t.Errorf("awsAuthConfig %+v", read.AWSAuthConfig)
	}
	if want := []string{"aws", "--cluster-name", "prod-eu", "--role-arn", testRole}; !slices.Equal(read.Exec.Args, want) {
		t.Errorf("exec %+v", read.Exec)
	}
	// 32-bit FNV-1a of the server as written, after its host in lower case.
	if want := "cluster-abcdef0123456789abcdef0123456789.gr7.eu-west-1.eks.amazonaws.com-"; !strings.HasPrefix(read.ArgocdSecretName, want) {
		t.Errorf("Argo CD's name is %s", read.ArgocdSecretName)
	}
}

func TestWhatArgocdReadsButWouldRewriteIsNotCanonical(t *testing.T) {
	_, encoded := testCA(t)
	for name, config := range map[string]string{
		"another order":   `{"awsAuthConfig":{"clusterName":"a"},"tlsClientConfig":{"insecure":false,"caData":"` + encoded + `"}}`,
		"a space":         strings.Replace(canonical(encoded), ":", ": ", 1),
		"an unknown key":  strings.Replace(canonical(encoded), `"insecure":false`, `"insecure":false,"region":"eu-west-1"`, 1),
		"keys in capital": strings.Replace(canonical(encoded), "roleARN", "RoleArn", 1),
	} {
		code, out, errs := runSecret(t, secretJSON(t, map[string]string{"name": "a", "server": testServer, "config": config}))
		if code != asExpected || !strings.Contains(out, `"canonicalConfig":false`) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, errs)
		}
	}
}

func TestAMalformedSecretIsRefusedInArgocdsWords(t *testing.T) {
	_, encoded := testCA(t)
	notPEM := base64.StdEncoding.EncodeToString([]byte(encoded))
	for name, test := range map[string]struct{ config, words string }{
		"raw PEM":          {canonical("-----BEGIN CERTIFICATE-----"), "illegal base64 data at input byte 0"},
		"base64 twice":     {canonical(notPEM), "unable to apply K8s REST config defaults: unable to load root certificates"},
		"a string":         {strings.Replace(canonical(encoded), "false", `"false"`, 1), "cannot unmarshal"},
		"trailing text":    {canonical(encoded) + "}", "invalid character '}' after top-level value"},
		"insecure with CA": {strings.Replace(canonical(encoded), "false", "true", 1), "insecure flag is not allowed"},
	} {
		code, out, errs := runSecret(t, secretJSON(t, map[string]string{"name": "a", "server": testServer, "config": test.config}))
		if code != refused || out != "" || !strings.Contains(errs, test.words) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, errs)
		}
	}
}

func TestOneLineForEachSecretAndTheBrokenOneIsNamed(t *testing.T) {
	_, encoded := testCA(t)
	good := secretJSON(t, map[string]string{"name": "a", "server": testServer + "/", "config": canonical(encoded)})
	broken := secretJSON(t, map[string]string{"name": "b", "server": testServer, "config": "{"})
	code, out, errs := runSecret(t, good+"\n"+broken+good)
	if code != refused || strings.Count(out, "\n") != 2 || !strings.Contains(errs, `Secret "cluster-prod-eu": failed to unmarshal`) {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	if !strings.Contains(out, `"server":"`+testServer+`"`) {
		t.Errorf("the slash is still there: %s", out)
	}
}

func TestWhatIsNoClusterSecretIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, words string }{
		"nothing":          {"", "no Secret was given"},
		"a list":           {`{"apiVersion":"v1","kind":"List","items":[]}`, "not a Secret but a List"},
		"not JSON":         {"kind: Secret", "not a Secret in JSON"},
		"without a label":  {`{"kind":"Secret","metadata":{"name":"a"}}`, "Argo CD does not look at it"},
		"a repository's":   {`{"kind":"Secret","metadata":{"labels":{"argocd.argoproj.io/secret-type":"repository"}}}`, `is "repository"`},
		"another document": {`{"kind":"ConfigMap"}`, "but a ConfigMap"},
	} {
		if code, out, errs := runSecret(t, test.text); code != refused || out != "" || !strings.Contains(errs, test.words) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, errs)
		}
	}
}
