package engine

import (
	"fmt"
	"slices"

	"leadstream/rules"
	"leadstream/state/lead"
)

// The number of shards is changed by re-keying a copy of an application that is at rest: each id goes to the shard that it has
// among the new number, source partitions as well, and time goes on where it was.
//
// An id of the old shard a can only come to the new ones that are the same as a modulo the greatest common divisor of the two
// numbers, so a new shard takes over from those: the earliest of their times, that no timer fires before its events have
// been read; the most erasures counted, that no output id is used twice; all of their salts. What an erasure has left bears a salted
// hash for a name, from which its shard can't be told: it goes to all shards that it may belong to, and does nothing
// on others.

// Rekey makes of the records that the shards of a copy begin with, nil for those without, as many as there are to be shards.
func Rekey(app string, old []*JournalRecord, shards int32) ([]*JournalRecord, error) {
	if shards < 1 || shards > 4096 {
		return nil, fmt.Errorf("%d shards are outside 1 to 4096: %w", shards, ErrDisagree)
	}
	var first *JournalRecord
	places := map[TopicPartition]JournalPart{}
	var closed []string
	for s, j := range old {
		if j == nil {
			continue
		}
		if first == nil {
			first = j
		}
		if j.OldRules != 0 && !j.SweepDone || j.Rules != first.Rules {
			return nil, fmt.Errorf("shard %d is not at rest: a rule set comes into force: %w", s, ErrDisagree)
		}
		for _, p := range j.Parts[1:] {
			places[TopicPartition{p.Topic, p.Partition}] = p
		}
		closed = append(closed, j.Closed...)
	}
	if first == nil {
		return nil, fmt.Errorf("nothing was ever committed: configure another number of shards and another application: %w", ErrDisagree)
	}
	slices.Sort(closed)
	out := make([]*JournalRecord, shards)
	for s := range shards {
		var from []*JournalRecord
		for a, j := range old {
			if step := gcd(int32(len(old)), shards); j != nil && int32(a)%step == s%step {
				from = append(from, j)
			}
		}
		if len(from) > 0 {
			out[s] = merged(from)
			out[s].Closed, out[s].Shards = slices.Compact(slices.Clone(closed)), shards
			out[s].Parts = append([]JournalPart{{Topic: TopicName(app, TopicInbox), Partition: s, WatermarkStart: noTime, Watermark: noTime, Floor: noTime, LeaderEpoch: -1}},
				partsOf(places, s, shards)...)
		}
	}
	return out, nil
}

func gcd(a, b int32) int32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// partsOf are the places of the source partitions of a shard, by topic and partition.
func partsOf(places map[TopicPartition]JournalPart, shard, shards int32) []JournalPart {
	var parts []JournalPart
	for tp, p := range places {
		if tp.Partition%shards == shard {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b JournalPart) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Partition - b.Partition)
	})
	return parts
}

// merged is what a shard begins with that takes over from others, but for its inputs.
func merged(from []*JournalRecord) *JournalRecord {
	j := *from[0]
	j.Sent, j.Got, j.Read, j.Moved, j.CaughtUp = nil, nil, 0, "", false
	j.OldRules, j.SweptFrom, j.SweptTo, j.SweepDone = 0, "", "", false
	j.Salt, j.OldSalts = nil, nil
	for _, x := range from {
		j.TickStart, j.Cap, j.Base = min(j.TickStart, x.TickEnd), min(j.Cap, x.Cap), min(j.Base, x.Base)
		j.Watermark, j.Wall = min(j.Watermark, x.Watermark), max(j.Wall, x.Wall)
		j.Epoch, j.ErasedEnd = max(j.Epoch, x.Epoch), max(j.ErasedEnd, x.ErasedEnd)
		if x.Unlaid != 0 && (j.Unlaid == 0 || x.Unlaid < j.Unlaid) {
			j.Unlaid = x.Unlaid
		}
		for _, salt := range append([][]byte{x.Salt}, x.OldSalts...) {
			switch same := func(b []byte) bool { return string(b) == string(salt) }; {
			case len(salt) == 0 || same(j.Salt) || slices.ContainsFunc(j.OldSalts, same):
			case j.Salt == nil:
				j.Salt = salt
			default:
				j.OldSalts = append(j.OldSalts, salt)
			}
		}
	}
	j.TickEnd, j.Redo, j.ErasedStart = j.TickStart, j.Epoch, j.ErasedEnd
	return &j
}

// Place returns the shards that an entity of a shard belongs to among another number: one, but for what an erasure has left.
func Place(id string, shard, old, shards int32) []int32 {
	if !rules.IsBar(id) {
		return []int32{ShardOf([]byte(id), shards)}
	}
	var to []int32
	step := gcd(old, shards)
	for s := shard % step; s < shards; s += step {
		to = append(to, s)
	}
	return to
}

// LaterBar returns that of two versions of what an erasure left which bars for longer.
func LaterBar(a, b []byte) ([]byte, error) {
	var x, y lead.Lead
	if err := lead.Decode(a, &x); err != nil {
		return nil, fmt.Errorf("reading what an erasure left: %w", err)
	}
	if err := lead.Decode(b, &y); err != nil {
		return nil, fmt.Errorf("reading what an erasure left: %w", err)
	}
	if y.After > x.After || y.After == x.After && y.FirstSeen > x.FirstSeen {
		return b, nil
	}
	return a, nil
}

// IsBar says that a key of the state topic is that of what an erasure left. These come before all others.
func IsBar(id string) bool { return rules.IsBar(id) }
