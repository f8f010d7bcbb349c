// Package peers builds the programs that leadstream is compared with. They do the same as
// bench/e2e/rules.yaml, in the words of the tool they are written for.
package peers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed kstreams
var sources embed.FS

// KafkaStreamsVersion is the version of Kafka Streams, as in kstreams/pom.xml.
const KafkaStreamsVersion = "4.3.1"

// Missing says what building the Kafka Streams program needs and this machine lacks, "" if nothing.
func Missing() string {
	for _, tool := range []struct{ name, what string }{
		{"java", "a Java 17 or newer runtime (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless)"},
		{"javac", "a Java 17 or newer development kit (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless)"},
		{"mvn", "Maven (Debian, Ubuntu: apt-get install maven)"},
	} {
		if _, err := exec.LookPath(tool.name); err != nil {
			return "no " + tool.name + " in PATH: install " + tool.what
		}
	}
	return ""
}

// KafkaStreams builds the program on first use and returns its class path. What was built stays in the
// user's cache directory, by the hash of its sources.
func KafkaStreams(ctx context.Context) (classPath string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	sum, err := hash(sources)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "leadstream-bench", "kstreams-"+sum)
	classPath = filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*")
	if _, err := os.Stat(dir); err == nil {
		return classPath, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "kstreams.part.")
	if err != nil {
		return "", fmt.Errorf("making the build directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.CopyFS(work, sources); err != nil {
		return "", fmt.Errorf("writing the sources: %w", err)
	}
	project := filepath.Join(work, "kstreams")
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(project, "pom.xml"), "compile",
		"org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(project, "target", "lib"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building with Maven: %w\n%s", err, out)
	}
	// Moved into place whole; whoever was faster has built the same.
	if err := os.Rename(filepath.Join(project, "target"), dir); err != nil {
		if _, serr := os.Stat(dir); serr != nil {
			return "", fmt.Errorf("keeping what was built: %w", err)
		}
	}
	return classPath, nil
}

// Streams is one run of the Kafka Streams program.
type Streams struct {
	// ClassPath is that of KafkaStreams.
	ClassPath string
	// Broker is its address; In and Out are topics, App is the application id and group, StateDir where it keeps its stores.
	Broker, In, Out, App, StateDir string
	// Heap is the most that Java may take for objects, in GiB. Default 1.
	Heap int
	// Settings are further variables of its environment.
	Settings []string
}

// Command is the program with two threads, and a cache that holds all leads, so that the store below is not looked into for every
// event. It ends with ctx.
func (s Streams) Command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "java", fmt.Sprintf("-Xmx%dg", max(1, s.Heap)), "-Xms1g", "-XX:+UseParallelGC", "-cp", s.ClassPath,
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "peers.StreamsApp")
	cmd.Env = append(os.Environ(), "BROKERS="+s.Broker, "IN_TOPIC="+s.In, "OUT_TOPIC="+s.Out, "APP="+s.App, "STATE_DIR="+s.StateDir,
		"STREAMS_NUM_STREAM_THREADS=2", "STREAMS_REPLICATION_FACTOR=1", "STREAMS_STATESTORE_CACHE_MAX_BYTES=268435456")
	cmd.Env = append(cmd.Env, s.Settings...)
	return cmd
}

func hash(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		h.Write(text)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the sources: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}
