// Command argocd-judge judges with Argo CD's own, released code what Mooring writes for Argo CD. It holds no rule of its
// own on what a cluster Secret has to be: it hands the Secret to Argo CD's packages and tells what they make of it.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	k8sauth "github.com/argoproj/argo-cd/v3/cmd/argocd-k8s-auth/commands"
	"github.com/argoproj/argo-cd/v3/common"
)

const usage = `argocd-judge: Argo CD's own code as the judge of a cluster Secret

  argocd-judge secret [FILE]     read Secrets (JSON) as Argo CD does, and print what it makes of each, one line each
  argocd-judge deploy [FLAGS] [FILE]
                                 reach the cluster of one Secret as Argo CD does; list, create and delete a ConfigMap
  argocd-judge k8s-auth ...      Argo CD's argocd-k8s-auth; also when the program is called by that name
  argocd-judge redis [FLAGS]     a Redis in memory, on loopback only, for Argo CD's components

Without FILE a Secret is read from standard input. Exit code 0: as it should be; 1: not so; 2: wrong usage.
`

// The exit codes.
const (
	asExpected = 0
	refused    = 1
	wrongUsage = 2
)

func main() {
	os.Exit(run(filepath.Base(os.Args[0]), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run chooses by the name of the program first, as Argo CD's own binary does: a link `argocd-k8s-auth` to it is found
// on PATH by the REST configuration that Argo CD builds.
func run(program string, args []string, in io.Reader, out, errs io.Writer) int {
	if program == common.CommandK8sAuth {
		return k8sAuth(args, errs)
	}
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return wrongUsage
	}
	rest := args[1:]
	switch args[0] {
	case "secret":
		return secretCommand(rest, in, out, errs)
	case "deploy":
		return deployCommand(rest, in, out, errs)
	case "k8s-auth":
		return k8sAuth(rest, errs)
	case "redis":
		return redisCommand(rest, out, errs)
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
		return asExpected
	default:
		fmt.Fprintf(errs, "argocd-judge: there is no %q\n\n%s", args[0], usage)
		return wrongUsage
	}
}

// k8sAuth is Argo CD's command as released. It prints the token on standard output, as its caller wants it, and ends
// the process with code 20 after a minute of attempts when it cannot have one.
func k8sAuth(args []string, errs io.Writer) int {
	command := k8sauth.NewCommand()
	command.SetArgs(args)
	command.SilenceErrors = true
	command.SilenceUsage = true
	if err := command.Execute(); err != nil {
		fmt.Fprintf(errs, "argocd-k8s-auth: %v\n", err)
		return refused
	}
	return asExpected
}

// input opens the one file that args name, or else standard input.
func input(args []string, in io.Reader) (io.ReadCloser, error) {
	switch len(args) {
	case 0:
		return io.NopCloser(in), nil
	case 1:
		return os.Open(args[0])
	default:
		return nil, fmt.Errorf("one file at most, and not %q", args)
	}
}
