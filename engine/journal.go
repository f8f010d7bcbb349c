package engine

import (
	"bytes"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// journalVersion is the format of journal records: 2 has digests, 3 the salt of erasures, 4 what is not laid and the number of
// shards. Older ones are read, a newer one is refused.
const journalVersion = 4

// noTime is a watermark, floor or tick that is not there yet: earlier than every time.
const noTime = int64(math.MinInt64)

// JournalRecord is what one committed epoch of a shard did: everything that redo needs to take the
// same decisions again. The exported form is for checkers and tools; field order is the format.
type JournalRecord struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Version  int
	// Epoch is the shard's epoch number, counted from 1 without gaps.
	Epoch uint64
	// Writer and Slots name the transactional ids of the process that wrote it.
	Writer string
	Slots  int
	// Logic names the versions that decide results.
	Logic string
	// Wall is the epoch's wall clock; Cap what other shards imposed on the tick.
	Wall, Cap int64
	// TickStart and TickEnd are the tick before and after. Where firing was stopped between two timers
	// after the last record, CutOn is set, and only timers up to (CutDue, CutLead) had fired in that gap.
	TickStart, TickEnd int64
	CutOn              bool
	CutDue             int64
	CutLead            string
	// Parts are all input partitions of the shard, inbox first, then by topic and partition.
	Parts []JournalPart
	// Ranges are the records applied, in order.
	Ranges []JournalRange
	// Closed are the names of history sources closed so far.
	Closed []string
	// Rules is the rule set in force. While a switch to it is worked off, OldRules (else 0) is the one
	// before and SwitchTick its tick; this epoch looked at the leads with ids after SweptFrom up to
	// SweptTo, or at all after SweptFrom when SweepDone.
	Rules, OldRules    uint64
	SwitchTick         int64
	SweptFrom, SweptTo string
	SweepDone          bool
	// Base is the time of a shard without source partitions during the epoch.
	Base int64
	// Watermark is the shard's own source watermark, not bounded by others, CaughtUp whether it reads at
	// the end of all its sources and none is an open import. Read counts its source records, Sent the events it
	// forwarded to each shard and Got those it got from each, since the beginning; nil if there never was one.
	Watermark int64
	CaughtUp  bool
	Read      int64
	Sent, Got []int64
	// Redo is the redo point of the state topic: all that epochs up to it did is in the topic.
	Redo uint64
	// Digest is that of the leads as the epoch left them, if Digested: whoever does the epoch again under the same Logic
	// must come to the same.
	Digested bool
	Digest   uint64
	// Salt is what the shard's erased ids are hashed with, nil before the first. ErasedStart and ErasedEnd count, before and
	// after the epoch, all that asked for something to be erased.
	Salt                   []byte
	ErasedStart, ErasedEnd uint32
	// Unlaid is the first epoch in which a node went that the state topic still has after this one, 0 if it has none.
	Unlaid uint64
	// Shards is how many shards the application has, 0 in older records. Moved is the application that has taken its place,
	// "" for one that goes on.
	Shards int32
	Moved  string
	// OldSalts are those of the shards that this one took over from, when the number of shards was changed.
	OldSalts [][]byte
}

// DecodeMsgpack implements msgpack.CustomDecoder. Fields that an older record does not have stay zero.
func (j *JournalRecord) DecodeMsgpack(d *msgpack.Decoder) error {
	return decodeFields(d, &j.Version, &j.Epoch, &j.Writer, &j.Slots, &j.Logic, &j.Wall, &j.Cap, &j.TickStart, &j.TickEnd,
		&j.CutOn, &j.CutDue, &j.CutLead, &j.Parts, &j.Ranges, &j.Closed, &j.Rules, &j.OldRules, &j.SwitchTick, &j.SweptFrom, &j.SweptTo,
		&j.SweepDone, &j.Base, &j.Watermark, &j.CaughtUp, &j.Read, &j.Sent, &j.Got, &j.Redo, &j.Digested, &j.Digest,
		&j.Salt, &j.ErasedStart, &j.ErasedEnd, &j.Unlaid, &j.Shards, &j.Moved, &j.OldSalts)
}

// decodeFields decodes an array into as many fields as it has, and skips what is behind the last that we know.
func decodeFields(d *msgpack.Decoder, fields ...any) error {
	n, err := d.DecodeArrayLen()
	if err != nil {
		return err
	}
	for i := range n {
		if i >= len(fields) {
			err = d.Skip()
		} else {
			err = d.Decode(fields[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// JournalPart is one input partition: its time and position.
type JournalPart struct {
	_msgpack  struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Topic     string
	Partition int32
	// WatermarkStart and Watermark are before and after the epoch; Floor holds during it.
	WatermarkStart, Watermark, Floor int64
	// Next is the position after the epoch.
	Next        int64
	LeaderEpoch int32
	// TopicID is the cluster's id of the topic, "" when it is not known: a topic that was deleted and made anew has another.
	TopicID string
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (p *JournalPart) DecodeMsgpack(d *msgpack.Decoder) error {
	return decodeFields(d, &p.Topic, &p.Partition, &p.WatermarkStart, &p.Watermark, &p.Floor, &p.Next, &p.LeaderEpoch, &p.TopicID)
}

// JournalRange is a run of records of one partition, positions From to Next (exclusive), holding Count
// data records whose values have the CRC-32C Sum.
type JournalRange struct {
	_msgpack   struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Part       int
	From, Next int64
	Count      int
	Sum        uint32
}

func (j *JournalRecord) encode() ([]byte, error) {
	var b bytes.Buffer
	if err := msgpack.NewEncoder(&b).Encode(j); err != nil {
		return nil, fmt.Errorf("encoding journal record: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeJournal decodes the value of a journal record.
func DecodeJournal(b []byte) (*JournalRecord, error) {
	var j JournalRecord
	dec := msgpack.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&j); err != nil {
		return nil, fmt.Errorf("decoding journal record: %w", err)
	}
	if j.Version < 1 || j.Version > journalVersion {
		return nil, fmt.Errorf("journal record has format %d, this program reads %d: use the newer program: %w", j.Version, journalVersion, ErrDisagree)
	}
	for _, r := range j.Ranges {
		if r.Part < 0 || r.Part >= len(j.Parts) {
			return nil, fmt.Errorf("journal record of epoch %d names partition %d of %d: %w", j.Epoch, r.Part, len(j.Parts), ErrDisagree)
		}
	}
	return &j, nil
}
