package engine

import "fmt"

// sameTopics compares the topics that a shard's last epoch read with those that have their names now. A topic that was deleted
// and made anew begins at offset 0 again: what comes up to the old position would never be read, and nobody would notice.
func (e *Engine) sameTopics(id int32, last *JournalRecord) error {
	for i := range last.Parts {
		p := &last.Parts[i]
		if now := e.cfg.TopicIDs[p.Topic]; p.TopicID != "" && now != "" && now != p.TopicID {
			return fmt.Errorf("topic %q is not the one that shard %d has read up to offset %d of partition %d: it was deleted and made anew; give its successor another name, or start a new application name: %w",
				p.Topic, id, p.Next, p.Partition, ErrDisagree)
		}
	}
	return nil
}
