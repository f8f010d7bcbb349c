module leadstream

go 1.26.0

// What we use ourselves: each with what it is for.
require (
	cel.dev/cel-go v0.33.2 // the expression language of rule sets
	github.com/cespare/xxhash/v2 v2.3.0 // hashes of message ids and of what the journal checks
	github.com/cockroachdb/pebble/v2 v2.1.7 // the embedded store
	github.com/prometheus/client_golang v1.25.0 // metrics
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // tests: validates rule files against the published schema
	github.com/spf13/cobra v1.10.2 // subcommands, flags and their help
	github.com/twmb/franz-go v1.22.2 // the Kafka client
	github.com/twmb/franz-go/pkg/kadm v1.19.0 // creates and inspects topics, groups and offsets
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c // the in-process broker of the demo, of embedded mode and of tests
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // requests that the client has no call for: offsets in transactions, fencing
	github.com/vmihailenco/msgpack/v5 v5.4.1 // the encoding of leads, journal and messages
	go.uber.org/goleak v1.3.0 // tests: no goroutine outlives its test
	go.yaml.in/yaml/v4 v4.0.0 // reads rule sets and configuration with line and column
	pgregory.net/rapid v1.3.0 // tests: properties over drawn rule sets and histories
)

require (
	cel.dev/expr v0.25.1 // indirect
	github.com/DataDog/zstd v1.5.7 // indirect
	github.com/RaduBerinde/axisds v0.1.0 // indirect
	github.com/RaduBerinde/btreemap v0.0.0-20250419174037-3d62b7205d54 // indirect
	github.com/antlr4-go/antlr/v4 v4.13.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cockroachdb/crlib v0.0.0-20241112164430-1264a2edc35b // indirect
	github.com/cockroachdb/errors v1.11.3 // indirect
	github.com/cockroachdb/logtags v0.0.0-20230118201751-21c54148d20b // indirect
	github.com/cockroachdb/redact v1.1.5 // indirect
	github.com/cockroachdb/swiss v0.0.0-20260820225851-333444432258 // indirect
	github.com/cockroachdb/tokenbucket v0.0.0-20230807174530-cc333fc44b06 // indirect
	github.com/getsentry/sentry-go v0.27.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/snappy v0.0.5-0.20231225225746-43d5d4cd4e0e // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/minio/minlz v1.0.1-0.20250507153514-87eb42fe8882 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/rogpeppe/go-internal v1.9.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/exp v0.0.0-20240823005443-9b4947da3948 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
