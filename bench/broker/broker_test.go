package broker

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"
	"time"
)

func TestJavaVersion(t *testing.T) {
	for out, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\n": 17,
		"java version \"1.8.0_401\"\n":             8,
		"openjdk version \"25\" 2025-09-16\n":      25,
		"command not found":                        0,
		"version \"":                               0,
	} {
		if got := javaVersion(out); got != want {
			t.Errorf("javaVersion(%q) = %d, want %d", out, got, want)
		}
	}
}

func TestStartRestartStop(t *testing.T) {
	if ok, why := Available(); !ok || testing.Short() {
		t.Skip("no real broker: " + why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	b, err := Start(ctx, Options{Heap: "-Xmx512m"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	answers := func() bool {
		c, err := net.Dial("tcp", b.Addr())
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if !answers() {
		t.Fatal("does not answer after Start")
	}
	addr := b.Addr()
	b.Kill()
	if answers() {
		t.Fatal("answers after Kill")
	}
	if err := b.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if b.Addr() != addr || !answers() {
		t.Fatalf("at %s after Restart, was at %s", b.Addr(), addr)
	}
	dir := b.dir
	b.Stop()
	if answers() {
		t.Fatal("answers after Stop")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the temporary directory is still there: %v", err)
	}
}

func TestStartReportsWhatFailed(t *testing.T) {
	if ok, why := Available(); !ok || testing.Short() {
		t.Skip("no real broker: " + why)
	}
	_, err := Start(t.Context(), Options{Settings: []string{"process.roles=nonsense"}})
	if err == nil {
		t.Fatal("started with nonsense in its settings")
	}
	t.Log(err)
}
