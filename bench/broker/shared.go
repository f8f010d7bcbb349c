package broker

import (
	"context"
	"sync"
	"testing"
	"time"
)

// shared is the one broker of a test binary. It is not stopped: it ends with the process.
var shared = sync.OnceValues(func() (*Broker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return Start(ctx, Options{})
})

// Shared returns a broker that all tests of the binary use, each under its own topic names. It skips the
// test, saying why, when none can be run here or tests are to be short.
func Shared(t testing.TB) *Broker {
	t.Helper()
	if testing.Short() {
		t.Skip("a real broker takes seconds to start: not in short tests")
	}
	if ok, why := Available(); !ok {
		t.Skip("no real broker: " + why)
	}
	b, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
