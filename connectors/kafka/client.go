package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// ClientOptions returns the options of a new client of the cluster, for those who read or write topics
// beside the engine: addresses, security and retries. role ends the client id.
func (c *Cluster) ClientOptions(role string) []kgo.Opt { return c.options(role) }
