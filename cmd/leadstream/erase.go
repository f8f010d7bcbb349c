package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/rules"
)

// auditPause is how long to wait before the audit topic is looked at again.
const auditPause = 100 * time.Millisecond

// erase says an erasure to the application's inbox, and follows the audit topic until all of it is done, or for r.Wait.
func erase(ctx context.Context, cluster *kafka.Cluster, shards int, r httpapi.ErasureRequest) (*httpapi.Erasure, error) {
	at, err := cluster.Ends(ctx, engine.TopicAudit)
	if err != nil {
		return nil, err
	}
	if r.Request == "" {
		r.Request = "erase-" + rand.Text()
	}
	salt := make([]byte, 16)
	rand.Read(salt) // Never fails: the runtime ends the process instead.
	err = sayToLead(ctx, cluster, shards, r.ID, rules.Command{Kind: rules.Erase, ID: r.Request, By: r.By, Suppress: r.Suppress, Salt: salt})
	if err != nil {
		return nil, err
	}
	f := following{Erasure: httpapi.Erasure{Request: r.Request, State: httpapi.ErasureWritten}, gone: map[subject]bool{}}
	deadline := time.Now().Add(r.Wait)
	for f.State != httpapi.ErasureDone && time.Now().Before(deadline) {
		pause(ctx, min(auditPause, time.Until(deadline)))
		for tp, from := range at {
			err := cluster.History().Read(ctx, tp, from, engine.CommittedEnd, func(rec *engine.Record) error {
				at[tp] = rec.Offset + 1
				return f.hear(tp.Partition, rec)
			})
			if ctx.Err() != nil {
				return &f.Erasure, nil
			}
			if err != nil {
				return nil, fmt.Errorf("following the audit of an erasure that was written: %w", err)
			}
		}
	}
	return &f.Erasure, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// subject is an id that was erased, as the audit says it: each shard has its own words.
type subject struct {
	shard int32
	hash  string
}

// following is an erasure that the audit tells of.
type following struct {
	httpapi.Erasure
	applied bool
	gone    map[subject]bool // and whether it is clean
}

// hear takes in a record of the audit topic.
func (f *following) hear(shard int32, rec *engine.Record) error {
	if string(rec.Key) != f.Request {
		return nil
	}
	var a engine.AuditRecord
	if err := json.Unmarshal(rec.Value, &a); err != nil {
		return fmt.Errorf("%s partition %d offset %d: %w", engine.TopicAudit, shard, rec.Offset, err)
	}
	who := subject{shard, a.Subject}
	switch a.Type {
	case engine.AuditErased:
		if a.Found == nil || a.Nodes == nil {
			return fmt.Errorf("%s partition %d offset %d does not say what was found: %w", engine.TopicAudit, shard, rec.Offset, engine.ErrDisagree)
		}
		f.applied, f.Found, f.Asked = true, *a.Found, *a.Nodes
		f.gone[who] = false
	case engine.AuditRemoved:
		f.Removed++
		f.gone[who] = false
	case engine.AuditKept:
		f.Kept++
	case engine.AuditCleaned, engine.AuditReturned:
		f.gone[who] = true
	}
	f.Cleaned = 0
	for _, clean := range f.gone {
		if clean {
			f.Cleaned++
		}
	}
	if f.applied && f.Removed+f.Kept == f.Asked {
		f.State = httpapi.ErasureApplied
		if f.Cleaned == len(f.gone) {
			f.State = httpapi.ErasureDone
		}
	}
	return nil
}

// eraseText says how far an erasure came.
func eraseText(e *httpapi.Erasure, wait time.Duration) string {
	switch {
	case e.State == httpapi.ErasureDone && e.Found:
		return fmt.Sprintf("erased: the lead and %d of %d ids that were asked are gone, from the state topic too (request %s)", e.Removed, e.Asked, e.Request)
	case e.State == httpapi.ErasureDone:
		return fmt.Sprintf("there was no such lead; what comes of before is dropped (request %s)", e.Request)
	case e.State == httpapi.ErasureApplied:
		return fmt.Sprintf("forgotten, for good; after %s %d of %d ids were gone from the state topic, the others follow (request %s)", wait, e.Cleaned, e.Removed+1, e.Request)
	case e.Asked > 0 || e.Found:
		return fmt.Sprintf("the lead is forgotten; after %s %d of %d ids had answered, the others follow (request %s)", wait, e.Removed+e.Kept, e.Asked, e.Request)
	default:
		return fmt.Sprintf("written, and not applied after %s: it is once the shard has come to it (request %s)", wait, e.Request)
	}
}
