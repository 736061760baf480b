package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

const deployUsage = `argocd-judge deploy [FLAGS] [FILE]: list, create and delete a ConfigMap on the cluster of one Secret

The REST configuration is Argo CD's, so the program argocd-k8s-auth must be on PATH, with the environment that Argo CD's
pod would have (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_REGION). One line of JSON tells each action; the first that
is refused is the last. Status 0 means that no answer came: no token, or no connection. argocd-k8s-auth tries for a
minute before it gives up, and says why on standard error.

`

// The actions, in their order.
const (
	actionList   = "list"
	actionCreate = "create"
	actionDelete = "delete"
)

// step is the line for one action.
type step struct {
	Action    string `json:"action"`
	Namespace string `json:"namespace"`
	Name      string `json:"name,omitempty"`
	// Status is the HTTP status, or 0 where no answer came.
	Status  int    `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

func (s step) done() bool { return s.Status >= 200 && s.Status < 300 }

func deployCommand(args []string, in io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(errs)
	namespace := flags.String("namespace", "default", "the namespace, which must exist")
	expectStatus := flags.Int("expect-status", http.StatusOK, "200: all three are to succeed; another: the status of the refusal")
	expectAt := flags.String("expect-at", actionList, "the action that is to be refused: list, create or delete")
	timeout := flags.Duration("timeout", 2*time.Minute, "for each action, the minting of its token included")
	flags.Usage = func() {
		fmt.Fprint(errs, deployUsage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return wrongUsage
	}
	if *expectAt != actionList && *expectAt != actionCreate && *expectAt != actionDelete {
		fmt.Fprintf(errs, "argocd-judge deploy: -expect-at is list, create or delete, and not %q\n", *expectAt)
		return wrongUsage
	}
	source, err := input(flags.Args(), in)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge deploy: %v\n", err)
		return wrongUsage
	}
	defer source.Close()
	config, err := restConfig(source)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge deploy: %v\n", err)
		return refused
	}
	// Argo CD sets none, and waits for as long as a server keeps the connection.
	config.Timeout = *timeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge deploy: %v\n", err)
		return refused
	}
	last, err := walk(context.Background(), client.CoreV1().RESTClient(), *namespace, func(s step) error { return printLine(out, s) })
	if err == nil {
		err = held(last, *expectStatus, *expectAt)
	}
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge deploy: %v\n", err)
		return refused
	}
	return asExpected
}

// restConfig is the configuration that Argo CD dials the cluster of the one Secret with.
func restConfig(source io.Reader) (*rest.Config, error) {
	secrets, err := readSecrets(source)
	if err != nil {
		return nil, err
	}
	if len(secrets) != 1 {
		return nil, fmt.Errorf("one Secret at a time, and not %d", len(secrets))
	}
	cluster, _, err := judge(&secrets[0])
	if err != nil {
		return nil, err
	}
	return cluster.RESTConfig()
}

// walk does one action after the other until one is refused, and returns the last.
func walk(ctx context.Context, client rest.Interface, namespace string, tell func(step) error) (step, error) {
	name := ""
	actions := []struct {
		verb string
		do   func() rest.Result
	}{
		{actionList, func() rest.Result {
			return client.Get().Namespace(namespace).Resource("configmaps").
				VersionedParams(&metav1.ListOptions{Limit: 1}, scheme.ParameterCodec).Do(ctx)
		}},
		{actionCreate, func() rest.Result {
			made := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "argocd-judge-"},
				Data:       map[string]string{"made-by": "argocd-judge"},
			}
			result := client.Post().Namespace(namespace).Resource("configmaps").Body(made).Do(ctx)
			if result.Into(made) == nil {
				name = made.Name
			}
			return result
		}},
		{actionDelete, func() rest.Result {
			return client.Delete().Namespace(namespace).Resource("configmaps").Name(name).Do(ctx)
		}},
	}
	var last step
	for _, action := range actions {
		result := action.do()
		last = outcome(action.verb, result)
		last.Namespace, last.Name = namespace, name
		if err := tell(last); err != nil {
			return last, err
		}
		if !last.done() {
			break
		}
	}
	return last, nil
}

func outcome(verb string, result rest.Result) step {
	told := step{Action: verb}
	result.StatusCode(&told.Status)
	err := result.Error()
	if err == nil {
		return told
	}
	told.Message = withoutTokens(err.Error())
	told.Status = 0
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		told.Status = int(status.ErrStatus.Code)
		told.Reason = string(status.ErrStatus.Reason)
	}
	return told
}

// held compares the last action with what was to come.
func held(last step, status int, at string) error {
	if status == http.StatusOK {
		if !last.done() {
			return fmt.Errorf("%s was refused with status %d: %s", last.Action, last.Status, last.Message)
		}
		return nil
	}
	if last.done() {
		return fmt.Errorf("all was allowed, and %s was to be refused with status %d", at, status)
	}
	if last.Action != at || last.Status != status {
		return fmt.Errorf("%s was refused with status %d, and %s was to be refused with status %d: %s",
			last.Action, last.Status, at, status, last.Message)
	}
	return nil
}

// What a token looks like: one of EKS, and a JSON Web Token. No message should hold one; none is printed if it does.
var token = regexp.MustCompile(`k8s-aws-v1\.[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*`)

func withoutTokens(message string) string {
	return token.ReplaceAllString(message, "(token)")
}
