package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestRedisForgetsWhatHasExpired(t *testing.T) {
	server, err := startRedis("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.Set("lock", "held"); err != nil {
		t.Fatal(err)
	}
	server.SetTTL("lock", tick)
	server.FastForward(tick)
	if server.Exists("lock") {
		t.Error("a moved clock lets nothing expire")
	}
	if !strings.HasPrefix(server.Addr(), "127.0.0.1:") || tick > 5*time.Second {
		t.Errorf("listens on %s, ticks every %s", server.Addr(), tick)
	}
}

func TestRedisListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", ":0", "localhost:0"} {
		var out, errs bytes.Buffer
		if code := run("argocd-judge", []string{"redis", "-listen", address}, nil, &out, &errs); code != refused || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %s%s", address, code, out.String(), errs.String())
		}
	}
}
