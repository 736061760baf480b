package main

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test's own binary be `argocd-k8s-auth`, by the same choice as the real one.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == "argocd-k8s-auth" {
		os.Exit(run(name, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// spoke is an API server that answers for ConfigMaps in one namespace, and refuses one verb.
type spoke struct {
	refuse string
	status int
	tokens []string
}

func (s *spoke) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.tokens = append(s.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	w.Header().Set("Content-Type", "application/json")
	const path = "/api/v1/namespaces/apps/configmaps"
	answer := map[string]string{
		http.MethodGet + path:                        `{"kind":"ConfigMapList","apiVersion":"v1","items":[]}`,
		http.MethodPost + path:                       `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"argocd-judge-x","namespace":"apps"}}`,
		http.MethodDelete + path + "/argocd-judge-x": `{"kind":"Status","apiVersion":"v1","status":"Success"}`,
	}[r.Method+r.URL.Path]
	switch {
	case r.Method == s.refuse:
		w.WriteHeader(s.status)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"configmaps is forbidden to %s","code":%d}`,
			s.tokens[0], s.status)
	case answer == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		fmt.Fprint(w, answer)
	}
}

// deploy runs the command against the server with Argo CD's own plugin on PATH. Without a role to assume the plugin
// presigns with the keys of the environment, and calls nobody.
func (s *spoke) deploy(t *testing.T, flags ...string) (int, string, string) {
	t.Helper()
	server := httptest.NewTLSServer(s)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := fmt.Sprintf(`{"tlsClientConfig":{"insecure":false,"caData":%q},"awsAuthConfig":{"clusterName":"prod-eu"}}`,
		base64.StdEncoding.EncodeToString(ca))
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Symlink(own, filepath.Join(folder, "argocd-k8s-auth")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PATH": folder, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
	} {
		t.Setenv(name, value)
	}
	secret := secretJSON(t, map[string]string{"name": "prod-eu", "server": server.URL, "config": config})
	var out, errs bytes.Buffer
	args := append([]string{"deploy", "-namespace", "apps"}, flags...)
	code := run("argocd-judge", args, strings.NewReader(secret), &out, &errs)
	return code, out.String(), errs.String()
}

func TestAConfigMapIsListedCreatedAndDeletedWithArgocdsToken(t *testing.T) {
	s := &spoke{}
	code, out, errs := s.deploy(t)
	want := `{"action":"list","namespace":"apps","status":200}
{"action":"create","namespace":"apps","name":"argocd-judge-x","status":201}
{"action":"delete","namespace":"apps","name":"argocd-judge-x","status":200}
`
	if code != asExpected || out != want {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s.tokens[2], "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	presigned, err := url.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if presigned.Host != "sts.eu-west-1.amazonaws.com" || !strings.Contains(presigned.Query().Get("X-Amz-SignedHeaders"), "x-k8s-aws-id") {
		t.Errorf("the token is for %s, with %s signed", presigned.Host, presigned.Query().Get("X-Amz-SignedHeaders"))
	}
}

func TestARefusalIsToldWithoutTheToken(t *testing.T) {
	s := &spoke{refuse: http.MethodPost, status: http.StatusForbidden}
	code, out, errs := s.deploy(t)
	if code != refused || !strings.Contains(errs, "create was refused with status 403: configmaps is forbidden to (token)") {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	if !strings.Contains(out, `"action":"create","namespace":"apps","status":403,"reason":"Forbidden"`) || strings.Contains(out, "delete") {
		t.Errorf("told %s", out)
	}
	if strings.Contains(out+errs, s.tokens[0]) {
		t.Error("the token is in the output")
	}
}

func TestAnExpectedRefusalIsSuccessAndNothingElseIs(t *testing.T) {
	for _, test := range []struct {
		spoke spoke
		flags []string
		code  int
		words string
	}{
		{spoke{refuse: http.MethodGet, status: 403}, []string{"-expect-status", "403"}, asExpected, ""},
		{spoke{refuse: http.MethodDelete, status: 403}, []string{"-expect-status", "403", "-expect-at", "delete"}, asExpected, ""},
		{spoke{refuse: http.MethodGet, status: 403}, []string{"-expect-status", "401"}, refused, "list was refused with status 403, and list was to be refused with status 401"},
		{spoke{refuse: http.MethodPost, status: 403}, []string{"-expect-status", "403"}, refused, "create was refused with status 403, and list was to be"},
		{spoke{}, []string{"-expect-status", "403"}, refused, "all was allowed, and list was to be refused"},
		{spoke{}, []string{"-expect-at", "watch"}, wrongUsage, "list, create or delete"},
	} {
		if code, out, errs := test.spoke.deploy(t, test.flags...); code != test.code || !strings.Contains(errs, test.words) {
			t.Errorf("%v: exit code %d, %s%s", test.flags, code, out, errs)
		}
	}
}

func TestWithoutThePluginThereIsNoAnswer(t *testing.T) {
	s := &spoke{}
	t.Run("", func(t *testing.T) {
		code, out, errs := s.deploy(t, "-expect-status", "0")
		if code != refused || !strings.Contains(errs, "all was allowed") {
			t.Fatalf("exit code %d, %s%s", code, out, errs)
		}
	})
	_, encoded := testCA(t)
	t.Setenv("PATH", t.TempDir())
	secret := secretJSON(t, map[string]string{"name": "a", "server": "https://127.0.0.1:1", "config": canonical(encoded)})
	var out, errs bytes.Buffer
	code := run("argocd-judge", []string{"deploy", "-expect-status", "0"}, strings.NewReader(secret), &out, &errs)
	if code != asExpected || !strings.Contains(out.String(), `"status":0,"message"`) || !strings.Contains(out.String(), "argocd-k8s-auth") {
		t.Errorf("exit code %d, %s%s", code, out.String(), errs.String())
	}
}

func TestTokensAreCutOutOfMessages(t *testing.T) {
	for text, want := range map[string]string{
		"a k8s-aws-v1.aHR0cHM6Ly9z-_ b":          "a (token) b",
		"jwt eyJhbGciOiJ.eyJpc3MiOiJ.c2ln-_ end": "jwt (token) end",
		"nothing secret":                         "nothing secret",
	} {
		if got := withoutTokens(text); got != want {
			t.Errorf("%q and not %q", got, want)
		}
	}
}
