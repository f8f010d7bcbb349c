package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"leadstream/engine"
)

// Describe is EnsureTopics for who only looks: it makes nothing, and of the application's own topics it asks no more than
// that they are there, with at least a partition for each shard; without own it does not ask for them at all.
func (c *Cluster) Describe(ctx context.Context, sources []string, own bool) (map[string]int32, error) {
	names := append([]string{}, sources...)
	for _, t := range engine.Topics() {
		if own {
			names = append(names, c.TopicName(t))
		}
	}
	have, err := kadm.NewClient(c.admin).ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var faults []error
	counts := map[string]int32{}
	c.topicIDs = map[string]string{}
	for i, name := range names {
		d := have[name]
		n := int32(len(d.Partitions))
		switch {
		case errors.Is(d.Err, kerr.UnknownTopicOrPartition) || d.Err == nil && n == 0:
			faults = append(faults, fmt.Errorf("topic %q does not exist", name))
		case d.Err != nil:
			faults = append(faults, fmt.Errorf("topic %q: %w", name, d.Err))
		case i < len(sources):
			counts[name] = n
			if d.ID != (kadm.TopicID{}) {
				c.topicIDs[name] = string(d.ID[:])
			}
		case name != c.TopicName(engine.TopicRules) && n < c.cfg.Shards:
			faults = append(faults, fmt.Errorf("topic %q has %d partitions, and %d shards are configured: set shards: %d", name, n, c.cfg.Shards, n))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrTopic, errors.Join(faults...))
	}
	return counts, nil
}

// ErrNotVacant is returned by Vacant: there is something of the application that must not be written over.
var ErrNotVacant = errors.New("the application is not empty")

// Vacant sees that nothing was ever written for the application: its topics are missing or have never held a record, and its
// group has no members and no offsets.
func (c *Cluster) Vacant(ctx context.Context) error {
	adm := kadm.NewClient(c.admin)
	names := []string{}
	for _, t := range engine.Topics() {
		names = append(names, c.TopicName(t))
	}
	have, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	var there, filled []string
	for _, name := range names {
		if have[name].Err == nil {
			there = append(there, name)
		}
	}
	if len(there) > 0 {
		ends, err := adm.ListEndOffsets(ctx, there...)
		if err != nil {
			return fmt.Errorf("asking for offsets: %w", err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if (o.Err != nil || o.Offset > 0) && !slices.Contains(filled, o.Topic) {
				filled = append(filled, o.Topic)
			}
		})
	}
	if len(filled) > 0 {
		slices.Sort(filled)
		return fmt.Errorf("%w: there are records, or have been, in %s: choose another application name, or delete its topics and group %q",
			ErrNotVacant, strings.Join(filled, ", "), c.cfg.App)
	}
	if err := c.Idle(ctx); err != nil {
		return err
	}
	var at kadm.OffsetResponses
	err = whenCoordinated(ctx, func() (err error) {
		at, err = adm.FetchOffsets(ctx, c.cfg.App)
		return err
	})
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("fetching offsets of group %q: %w", c.cfg.App, err)
	}
	if n := len(at.Sorted()); n > 0 {
		return fmt.Errorf("%w: group %q has offsets of %d partitions: delete it with kafka-consumer-groups --delete --group %[2]s, or choose another application name",
			ErrNotVacant, c.cfg.App, n)
	}
	return nil
}

// Idle sees that no process of the application is running.
func (c *Cluster) Idle(ctx context.Context) error {
	var groups kadm.DescribedGroups
	err := whenCoordinated(ctx, func() (err error) {
		groups, err = kadm.NewClient(c.admin).DescribeGroups(ctx, c.cfg.App)
		return errors.Join(err, groups.Error())
	})
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("describing group %q: %w", c.cfg.App, err)
	}
	for _, g := range groups {
		if n := len(g.Members); n > 0 {
			names := []string{}
			for _, m := range g.Members {
				if m.InstanceID != nil {
					names = append(names, *m.InstanceID)
				}
			}
			return fmt.Errorf("%w: %d instances are running, or were killed less than a session time-out ago: %s", ErrNotVacant, n, strings.Join(names, ", "))
		}
	}
	return nil
}

// whenCoordinated asks again while there is no coordinator for the group yet: a new cluster makes the topic of offsets when it is
// first asked.
func whenCoordinated(ctx context.Context, ask func() error) error {
	for try := 0; ; try++ {
		err := ask()
		if err == nil || !kerr.IsRetriable(err) || try == adminTries || pause(ctx, try) != nil {
			return err
		}
	}
}
