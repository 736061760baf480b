package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often the clock of the server is moved: miniredis has none of its own, and Argo CD's caches and locks
// have to expire.
const tick = time.Second

func redisCommand(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("redis", flag.ContinueOnError)
	flags.SetOutput(errs)
	listen := flags.String("listen", "127.0.0.1:6379", "a loopback address and port; port 0 takes a free one")
	if err := flags.Parse(args); err != nil {
		return wrongUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errs, "argocd-judge redis: no arguments, and not %q\n", flags.Args())
		return wrongUsage
	}
	server, err := startRedis(*listen)
	if err != nil {
		fmt.Fprintf(errs, "argocd-judge redis: %v\n", err)
		return refused
	}
	defer server.Close()
	fmt.Fprintf(out, "ready on %s\n", server.Addr())

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			server.FastForward(tick)
		case <-ended:
			return asExpected
		}
	}
}

// startRedis listens on a loopback address and refuses any other: the server asks nobody for a password.
func startRedis(address string) (*miniredis.Miniredis, error) {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if !parsed.Addr().IsLoopback() {
		return nil, errors.New(address + " is not a loopback address")
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(address); err != nil {
		return nil, err
	}
	return server, nil
}
