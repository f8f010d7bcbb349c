// Package broker runs a real Apache Kafka broker for tests and benchmarks: the embedded one of
// connectors/kafka answers faster than any cluster, and has none of its races.
//
// It needs Java 17 or newer, and once Maven to fetch the broker's jars; see Available.
package broker

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed kafka.sh
var script []byte

//go:embed pom.xml
var pom []byte

// version is the broker's, as in kafka.sh.
const version = "4.3.1"

// Options says how a broker runs.
type Options struct {
	// Dir keeps data, settings and log. Default: a temporary one, deleted at Stop or when this process ends.
	Dir string
	// Settings are further lines of server.properties.
	Settings []string
	// Heap are the JVM's memory flags. Default -Xmx1g -Xms256m.
	Heap string
	// Advertise, host:port, makes the broker listen at Behind too and tell those who connect there to come to
	// this address: a proxy's, that connects to Behind. Those who come to Addr are told Addr.
	Advertise string
}

// Broker is a running broker. Its methods are called from one goroutine at a time.
type Broker struct {
	opts             Options
	dir, scripts     string
	discard          bool
	port, controller int
	behind           string
	cmd              *exec.Cmd
	stdin            io.Closer
	pid              int
}

// Available tells whether a broker can be run here, and if not what is missing.
var Available = sync.OnceValues(func() (ok bool, why string) {
	java, err := exec.LookPath("java")
	if err != nil {
		return false, "no java in PATH: a Java 17 or newer runtime runs the broker (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
	}
	out, err := exec.Command(java, "-version").CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("java -version: %v", err)
	}
	if v := javaVersion(string(out)); v < 17 {
		return false, fmt.Sprintf("java is version %d: Kafka %s needs 17 or newer", v, version)
	}
	if _, err := os.Stat(jarDir()); err == nil {
		return true, ""
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return false, "no mvn in PATH: Maven fetches the broker's jars once (Debian, Ubuntu: apt-get install maven)"
	}
	return true, ""
})

func jarDir() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "leadstream-kafka", version)
}

// javaVersion reads the first quoted version, like `openjdk version "17.0.15" 2025-04-15`; 0 if there is none.
func javaVersion(out string) int {
	_, rest, _ := strings.Cut(out, `version "`)
	rest = strings.TrimPrefix(rest, "1.") // what 8 and older called themselves
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return 0
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil {
		return 0
	}
	return n
}

// Start runs a broker and returns when it answers. It ends when this process does, however that ends.
func Start(ctx context.Context, opts Options) (*Broker, error) {
	b := &Broker{opts: opts, dir: opts.Dir}
	var err error
	if b.dir == "" {
		b.discard = true
		if b.dir, err = os.MkdirTemp("", "leadstream-broker-"); err != nil {
			return nil, fmt.Errorf("making the broker's directory: %w", err)
		}
	}
	if err := b.prepare(); err != nil {
		b.Stop()
		return nil, err
	}
	if err := b.launch(ctx); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

// prepare writes what the script needs and chooses ports.
func (b *Broker) prepare() error {
	b.scripts = filepath.Join(b.dir, "run")
	if err := os.MkdirAll(b.scripts, 0o755); err != nil {
		return fmt.Errorf("writing the broker's script: %w", err)
	}
	var err error
	if b.port, b.controller, err = freePorts(); err != nil {
		return err
	}
	if b.opts.Advertise != "" {
		port, _, err := freePorts()
		if err != nil {
			return err
		}
		b.behind = "127.0.0.1:" + strconv.Itoa(port)
		// The last of several lines with one name holds.
		b.opts.Settings = append([]string{
			"listeners=CLIENTS://" + b.Addr() + ",PROXIED://" + b.behind + ",CONTROLLER://127.0.0.1:" + strconv.Itoa(b.controller),
			"advertised.listeners=CLIENTS://" + b.Addr() + ",PROXIED://" + b.opts.Advertise,
			"listener.security.protocol.map=CLIENTS:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
		}, b.opts.Settings...)
	}
	for name, content := range map[string][]byte{
		"kafka.sh": script, "pom.xml": pom, "extra.properties": []byte(strings.Join(b.opts.Settings, "\n") + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(b.scripts, name), content, 0o755); err != nil {
			return fmt.Errorf("writing the broker's script: %w", err)
		}
	}
	if err := b.keep(false); err != nil {
		return fmt.Errorf("marking the broker's directory: %w", err)
	}
	return nil
}

// freePorts asks the system for two ports. They may be taken before the broker binds them, which
// then fails to start and says so.
func freePorts() (int, int, error) {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, fmt.Errorf("choosing a port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// launch starts the script, whose standard input is a pipe that closes with this process.
func (b *Broker) launch(ctx context.Context) error {
	cmd := exec.Command("bash", filepath.Join(b.scripts, "kafka.sh"), "run", b.dir, strconv.Itoa(b.port), strconv.Itoa(b.controller))
	cmd.Env = append(os.Environ(), "KAFKA_VERSION="+version, "KAFKA_EXTRA="+filepath.Join(b.scripts, "extra.properties"))
	if b.opts.Heap != "" {
		cmd.Env = append(cmd.Env, "KAFKA_HEAP="+b.opts.Heap)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is for the tests
	// A file, since reading a pipe would take a goroutine for as long as the broker runs.
	said, err := os.Create(filepath.Join(b.scripts, "said"))
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	defer func() { _ = said.Close() }()
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	b.cmd, b.stdin = cmd, stdin
	stop := context.AfterFunc(ctx, func() { _ = stdin.Close() })
	defer stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var address string
	if _, serr := fmt.Sscanf(line, "ready %s %d", &address, &b.pid); err != nil || serr != nil {
		complaint, rerr := os.ReadFile(said.Name())
		b.halt()
		if ctx.Err() == nil && rerr == nil && len(complaint) > 0 {
			return fmt.Errorf("starting the broker: %s", strings.TrimSpace(string(complaint)))
		}
		return fmt.Errorf("starting the broker: %w", errors.Join(ctx.Err(), err, serr))
	}
	return nil
}

// Addr is the broker's host:port, the same after Restart.
func (b *Broker) Addr() string { return "127.0.0.1:" + strconv.Itoa(b.port) }

// Behind is where a proxy at Options.Advertise connects to; "" without one.
func (b *Broker) Behind() string { return b.behind }

// Kill ends the broker as a crash would. Its data stays for Restart.
func (b *Broker) Kill() {
	if b.pid != 0 {
		_ = syscall.Kill(b.pid, syscall.SIGKILL)
		b.waitGone()
	}
}

// Suspend stops the broker's clock: connections stay open and nothing answers, until Resume.
func (b *Broker) Suspend() { _ = syscall.Kill(b.pid, syscall.SIGSTOP) }

// Resume ends Suspend.
func (b *Broker) Resume() { _ = syscall.Kill(b.pid, syscall.SIGCONT) }

// waitGone returns when the process is gone; the script, its parent, reaps it.
func (b *Broker) waitGone() {
	for range 1000 {
		if syscall.Kill(b.pid, 0) != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.pid = 0
}

// Restart ends the broker, if it runs, and starts it again with its data on the same port.
func (b *Broker) Restart(ctx context.Context) error {
	if b.pid != 0 {
		_ = syscall.Kill(b.pid, syscall.SIGTERM)
		b.waitGone()
	}
	if err := b.keep(true); err != nil {
		return err
	}
	b.halt()
	if err := b.keep(false); err != nil {
		return err
	}
	return b.launch(ctx)
}

// keep tells the script whether to leave a temporary directory alone when it ends.
func (b *Broker) keep(yes bool) error {
	if !b.discard {
		return nil
	}
	mark := filepath.Join(b.dir, "discard")
	if yes {
		return os.Remove(mark)
	}
	return os.WriteFile(mark, nil, 0o644)
}

// halt ends the script, and with it the broker.
func (b *Broker) halt() {
	if b.cmd == nil {
		return
	}
	_ = b.stdin.Close()
	_ = b.cmd.Wait()
	b.cmd, b.pid = nil, 0
}

// Stop ends the broker and deletes its directory if it was a temporary one.
func (b *Broker) Stop() {
	b.halt()
	if b.discard {
		_ = os.RemoveAll(b.dir)
	}
}
