package engine

import "encoding/binary"

// What shards say to each other says which epoch said it: a copy of all shards can then leave out of the inboxes what
// comes from epochs that it does not have, and will come again when they do. The same for the audit topic.

// originKey is the header that says so; what comes from outside has none.
const originKey = "o"

// stamp sets the header of the records of one shard's epoch.
func stamp(records []OutRecord, shard int32, epoch uint64) {
	var h []Header
	for i := range records {
		if t := records[i].Topic; t != TopicInbox && t != TopicAudit {
			continue
		}
		if h == nil {
			h = []Header{{Key: originKey, Value: binary.AppendUvarint(binary.AppendUvarint(nil, uint64(shard)), epoch)}}
		}
		records[i].Headers = h
	}
}

// origin is the epoch that wrote a record; false when it comes from outside.
func origin(r *Record) (shard int32, epoch uint64, ok bool) {
	for _, h := range r.Headers {
		if h.Key != originKey {
			continue
		}
		s, n := binary.Uvarint(h.Value)
		if n <= 0 || s >= 1<<31 {
			return 0, 0, false
		}
		epoch, m := binary.Uvarint(h.Value[n:])
		return int32(s), epoch, m > 0
	}
	return 0, 0, false
}

// withoutOrigin leaves the header out.
func withoutOrigin(hs []Header) []Header {
	for i, h := range hs {
		if h.Key == originKey {
			return append(append([]Header(nil), hs[:i]...), hs[i+1:]...)
		}
	}
	return hs
}
