package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	"leadstream/rules"
	"leadstream/state/lead"
)

// activeKey is the key of the rules topic's record that says which rule set is in force. All other
// records are rule sets under their version.
const activeKey = "active"

// activeRecord is the value of that record.
type activeRecord struct {
	// Version is the rule set in force.
	Version string `json:"version"`
	// File is the version of the files that processes were last started with. A process that starts with the
	// same files goes on with Version, which someone may have applied since; one that starts with others
	// puts theirs in force.
	File string `json:"file"`
}

// ApplyRules returns the records that put a rule set in force in all running processes, to be written to
// partition 0 of the rules topic in that order. present is the value of the topic's "active" record, nil if there is none.
func ApplyRules(set *rules.Set, present []byte) ([]OutRecord, error) {
	a := activeRecord{File: set.Version()}
	if present != nil {
		if err := json.Unmarshal(present, &a); err != nil {
			return nil, fmt.Errorf("reading the record of the active rule set: %w", err)
		}
	}
	a.Version = set.Version()
	return []OutRecord{ruleSetRecord(set), a.record()}, nil
}

// ActiveRules is the key of the record that ApplyRules needs.
func ActiveRules() string { return activeKey }

func (a activeRecord) record() OutRecord {
	v, err := json.Marshal(a)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return OutRecord{Topic: TopicRules, Key: []byte(activeKey), Value: v}
}

func ruleSetRecord(set *rules.Set) OutRecord {
	return OutRecord{Topic: TopicRules, Key: []byte(set.Version()), Value: set.Source()}
}

// readRules reads what is new in the rules topic and follows it. Only one goroutine at a time calls it.
func (e *Engine) readRules(ctx context.Context) error {
	tp := TopicPartition{e.cfg.topic(TopicRules), 0}
	var active []byte
	err := e.cfg.History.Read(ctx, tp, e.rulesNext, CommittedEnd, func(r *Record) error {
		e.rulesNext = r.Offset + 1
		switch {
		case string(r.Key) == activeKey:
			active = r.Value
		case r.Value != nil:
			e.takeRules(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the rules topic: %w", err)
	}
	if active == nil {
		return nil
	}
	var a activeRecord
	if err := json.Unmarshal(active, &a); err != nil {
		return fmt.Errorf("reading the record of the active rule set: %w", err)
	}
	return e.putInForce(a)
}

// takeRules keeps a rule set from the topic, unless it has it: every process writes its own there once more.
func (e *Engine) takeRules(r *Record) {
	e.mu.RLock()
	for _, x := range e.ruleSets {
		if x.Version() == string(r.Key) {
			e.mu.RUnlock()
			return
		}
	}
	e.mu.RUnlock()
	x, err := rules.ParseSource(r.Value)
	if err != nil {
		// Another version of this program wrote it; it matters only if it is asked for.
		e.log.Warn("a stored rule set can't be read by this version", "version", string(r.Key), "reason", err)
		return
	}
	e.mu.Lock()
	e.ruleSets[x.ID()] = x
	if !e.started {
		e.pastRules[x.ID()] = true
	}
	e.mu.Unlock()
}

// putInForce puts the rule set in force that the topic names, unless this process was started with other
// files than the last: then theirs are newer. One that is not there or can't be read is refused, and the present one goes on.
func (e *Engine) putInForce(a activeRecord) error {
	if a.File != e.cfg.Rules.Version() && !e.started {
		e.log.Info("the rule files have changed since the last start and are put in force", "before", a.Version, "now", e.cfg.Rules.Version())
		return nil
	}
	e.fileKnown.Store(true)
	now := e.active.Load()
	if a.Version == now.Version() {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, set := range e.ruleSets {
		if set.Version() == a.Version {
			e.active.Store(set)
			e.pastRules[set.ID()] = true
			e.log.Info("a rule set was applied", "before", now.Version(), "now", set.Version())
			return nil
		}
	}
	e.m.refused.Inc()
	return fmt.Errorf("rule set %s was applied, but this version can't read it: the present one, %s, stays in force", a.Version, now.Version())
}

// rulesRecords are what a transaction that uses a rule set writes to the rules topic: nothing when it is known
// to be there.
func (e *Engine) rulesRecords(set *rules.Set) []OutRecord {
	if e.loop.published[set.Version()] {
		return nil
	}
	e.loop.published[set.Version()] = true
	out := []OutRecord{ruleSetRecord(set)}
	if set == e.cfg.Rules && !e.fileKnown.Load() {
		out = append(out, activeRecord{Version: set.Version(), File: set.Version()}.record())
	}
	return out
}

// ruleSet returns a rule set by id: one that is known, or one from the rules topic.
func (e *Engine) ruleSet(id lead.RuleSetID) (*rules.Set, error) {
	if set := e.knownRules(id); set != nil {
		return set, nil
	}
	tp := TopicPartition{e.cfg.topic(TopicRules), 0}
	version, there := fmt.Sprintf("%016x", uint64(id)), false
	err := e.cfg.History.Read(context.Background(), tp, StartOfPartition, CommittedEnd, func(r *Record) error {
		if r.Value != nil && string(r.Key) != activeKey {
			there = there || string(r.Key) == version
			e.takeRules(r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the rules topic: %w", err)
	}
	if set := e.knownRules(id); set != nil {
		return set, nil
	}
	if there {
		e.m.refused.Inc()
		return nil, fmt.Errorf("rule set %s is in force here, and this version of the program can't read it: run the version that wrote it, or a newer one: %w", version, ErrDisagree)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	names := make([]string, 0, len(e.ruleSets))
	for _, x := range e.ruleSets {
		names = append(names, x.Version())
	}
	sort.Strings(names)
	return nil, fmt.Errorf("rule set %016x is not in topic %s, which has %v: %w", uint64(id), tp.Topic, names, errNoRules)
}

// errNoRules is a rule set that was never applied here.
var errNoRules = fmt.Errorf("it was never applied: %w", ErrDisagree)

func (e *Engine) knownRules(id lead.RuleSetID) *rules.Set {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.ruleSets[id]
}
