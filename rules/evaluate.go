package rules

import (
	"slices"

	"leadstream/state/lead"
)

// Verdict says what became of an event.
type Verdict uint8

// The verdicts of Apply.
const (
	// Applied says that the event counted.
	Applied Verdict = iota + 1
	// Duplicate says that its message had been applied before: nothing changed.
	Duplicate
)

// Evaluator applies one rule set to leads. It owns memory that it uses again, so it belongs to one goroutine.
type Evaluator struct {
	scope
	hits []int // signals of the event, in file order
	due  []int // lines to run, in file order
	// mail and link are hashes of what the present event belongs to; heldNow says that it is something to hold.
	mail, link  uint64
	heldNow     bool
	fired       []bool
	before      []tri // by transition: what it was before a timer's points; valid while knowsBefore
	knowsBefore bool
	// Until when the conditions that were looked at hold, those that read the event left out.
	transitionsHold, handoffsHold int64
	trigger                       string     // what an output names as its cause; "" is the event that eventID names
	eventID                       []byte     // messageId of the event, copied only when there is something to say of it
	own                           uint64     // Own of the contributions of the present message
	old                           *Evaluator // of the rule set before a switch
	out                           []lead.Output
	letters                       []Letter // of timers, and to and from accounts
	worthList                     []worth  // memory of worths
	// acct moves accounts; nil before the first. instead are places in accounts to be taken over by the present lead,
	// groupTraits what it says of the account group.
	acct        *Evaluator
	instead     []placed
	groupTraits []TraitNote
	group       string
	// marked[c] == stamp says that the event may have changed condition c, touched[s] score s; lookAtAll that any may have been;
	// skipped that some was not looked at.
	marked, touched    []uint64
	lookAtAll, skipped bool
}

// NewEvaluator returns an evaluator of the rule set.
func (s *Set) NewEvaluator() *Evaluator {
	e := &Evaluator{fired: make([]bool, len(s.transitions)), before: make([]tri, len(s.transitions)),
		marked: make([]uint64, len(s.transitions)+len(s.handoffs)), touched: make([]uint64, len(s.scores))}
	e.scope = scope{
		set: s, matched: make([]uint64, len(s.signals)), states: make([]stateMemo, len(s.scores)),
		counts: s.newCounts(),
	}
	return e
}

// Counts returns what the evaluator has counted. The caller reads and resets it between calls.
func (e *Evaluator) Counts() *Counts {
	if e.acct != nil {
		e.counts.add(e.acct.counts, e.set.accountRule, len(e.set.handoffs))
		e.acct.counts.Reset()
	}
	return e.counts
}

// Apply applies an event to a lead, which it changes in place, and appends what is to be said to out. The
// lead's timers due at or before the event's time fire first.
func (e *Evaluator) Apply(l *lead.Lead, ev *lead.Event, out []lead.Output) ([]lead.Output, Verdict) {
	if e.isDuplicate(l, ev.MessageHash) {
		e.counts.Duplicates++
		return out, Duplicate
	}
	t := clampTime(ev.Time)
	begins := !begun(l)
	if begins {
		e.start(l, t)
	}
	out = e.Fire(l, min(t, never-1), out)
	if !begins && !begun(l) { // it was removed
		begins = true
		e.start(l, t)
	}
	e.begin(l, out)
	late := l.Clock - t
	if late <= 0 {
		l.Clock = t
	} else {
		e.counts.Late++
	}
	e.remember(l, ev.MessageHash)
	e.scope.enter(l, l.Clock, ev)
	e.signalsOn = late <= e.set.maxLate
	if !e.signalsOn {
		e.counts.TooLate++
	}
	e.because("", ev.MessageID)
	if len(ev.RoutingID) > 0 && string(ev.RoutingID) != l.ID {
		e.own = lead.HashID(ev.RoutingID) // it came for an id that was merged into this lead
	}
	if begins {
		e.enterStage()
	}
	e.seen(l, ev, t)
	e.lookAtAll = begins
	e.touch(&e.set.readers.always)
	e.updateTraits(ev, t)
	if len(e.set.consent.purposes) > 0 {
		e.updateConsent(ev, t)
	}
	if e.set.accounts != nil && ev.Type == lead.Group {
		e.joinGroup(ev, t)
	}
	e.rehear(nil)
	e.matchSignals(ev, t)
	e.updateWindows(ev, t)
	e.updateFields(ev, t)
	e.updateTags(t)
	e.changed()
	e.runLines(ev, t)
	e.retractEarly(ev.MessageHash)
	e.runRetracts()
	e.evaluate(byEvent)
	e.settle()
	e.say()
	// An inactivity whose due time a late event has moved into the past fires now, not when the shard's
	// tick comes by: what a lead does must not depend on where the tick is.
	return e.Fire(l, l.Clock, e.out), Applied
}

// Begun says that something has happened to a lead: an event or a command. Nothing has to an id that only links
// are known of.
func Begun(l *lead.Lead) bool { return begun(l) }

func begun(l *lead.Lead) bool { return l.Events > 0 || l.Clock != 0 || len(l.Recent) > 0 }

// start makes t the beginning of a lead.
func (e *Evaluator) start(l *lead.Lead, t int64) {
	l.Clock, l.FirstSeen, l.LastSeen, l.StageSince = t, t, t, t
}

func (e *Evaluator) begin(l *lead.Lead, out []lead.Output) {
	e.out = out
	e.l = l
}

// because begins an evaluation: it is of a trigger or, where that is "", of the event with a messageId.
func (e *Evaluator) because(trigger string, event []byte) {
	e.trigger, e.eventID, e.own, e.skipped = trigger, event, 0, false
}

// cause is what outputs and letters to accounts name as their cause.
func (e *Evaluator) cause() string {
	if e.trigger == "" && len(e.eventID) > 0 {
		e.trigger = string(e.eventID)
	}
	return e.trigger
}

// seen updates what a lead knows of any event.
func (e *Evaluator) seen(l *lead.Lead, ev *lead.Event, t int64) {
	if len(ev.UserID) > 0 && (l.UserID == "" || t >= l.LastSeen) && l.UserID != string(ev.UserID) {
		l.UserID = l.ID // one text for both where they are the same
		if string(ev.UserID) != l.ID {
			l.UserID = string(ev.UserID)
		}
	}
	if len(ev.UserID) > 0 {
		l.Known = true
		l.User = l.User || string(ev.UserID) == l.ID
	}
	e.updateZone(t >= l.LastSeen)
	l.Events++
	l.FirstSeen, l.LastSeen = min(l.FirstSeen, t), max(l.LastSeen, t)
	if ev.Type == lead.Track || ev.Type == lead.Page || ev.Type == lead.Screen {
		l.LastActive = max(l.LastActive, t)
	}
}

// isDuplicate reports whether a message is among the newest that were applied.
func (e *Evaluator) isDuplicate(l *lead.Lead, hash uint64) bool {
	return hash != 0 && slices.Contains(l.Recent, hash)
}

func (e *Evaluator) remember(l *lead.Lead, hash uint64) {
	if hash != 0 && e.set.dedupe > 0 {
		l.Remember(hash, e.set.dedupe)
	}
}

// matchSignals finds out which signals the event is.
func (e *Evaluator) matchSignals(ev *lead.Event, t int64) {
	e.hits, e.heldNow = e.hits[:0], false
	e.lookAtMail()
	gated := e.gated()
	if gated {
		e.counts.Gated++
	}
	for _, slot := range e.set.dispatch.candidates(ev) {
		if gated && !e.set.signals[slot].saysConsent() {
			continue
		}
		if rest := e.set.signals[slot].match.rest; rest != nil {
			if !e.holds(rest) {
				continue
			}
		}
		if e.set.signals[slot].hold > 0 {
			e.heldNow = true
			if e.isMachine() {
				e.dropPresent(t)
				continue
			}
			if e.holdSignal(slot, t, ev) {
				continue
			}
		}
		e.matched[slot] = e.stamp
		e.hits = append(e.hits, slot)
	}
}

// updateWindows enters the event into the windows of its signals.
func (e *Evaluator) updateWindows(ev *lead.Event, t int64) {
	for _, slot := range e.hits {
		for _, k := range e.set.signals[slot].keepers {
			e.enterWindow(k, ev, t)
		}
	}
}

// keep returns a window of the lead, made if it does not have it yet.
func (e *Evaluator) keep(slot int) *lead.Signal {
	l := e.l
	i, found := slices.BinarySearchFunc(l.Signals, uint16(slot), compareSignal)
	if !found {
		l.Signals = slices.Insert(l.Signals, i, newSignal(uint16(slot)))
	}
	return &l.Signals[i]
}

func compareSignal(s lead.Signal, slot uint16) int { return int(s.Slot) - int(slot) }

// runLines makes the contributions of the event's signals, in the order of the file.
func (e *Evaluator) runLines(ev *lead.Event, t int64) {
	e.due = e.due[:0]
	for _, slot := range e.hits {
		e.due = append(e.due, e.set.signals[slot].lines...)
	}
	if len(e.hits) > 1 {
		slices.Sort(e.due)
	}
	for _, slot := range e.due {
		ln := &e.set.lines[slot]
		w, _, ok := e.number(ln.add)
		if !ok || w == 0 {
			continue
		}
		key := e.limitKey(ln)
		if ln.hold > 0 {
			e.heldNow = true
			if e.isMachine() {
				e.dropPresent(t)
				continue
			}
			if e.hold(slot, key, w, t, ev) {
				continue
			}
		}
		e.contribute(slot, key, w, t, ev.MessageHash)
	}
	if e.set.holds {
		e.findMachines(t, e.heldNow)
	}
}

// mode says what an evaluation was caused by.
type mode uint8

const (
	byEvent  mode = iota // whatever is true may fire
	byTimer              // only what became true now may fire
	bySwitch             // of rules: whatever is true may fire, but edge bits are set without firing
)

// evaluate runs transitions, then hand-offs, and reports whether it changed anything.
func (e *Evaluator) evaluate(m mode) bool {
	e.lookAtAll = e.lookAtAll || e.l.Ready
	moved := e.runTransitions(m)
	return e.runHandoffs(m) || moved
}

// settle ends the evaluation of an event or a command.
func (e *Evaluator) settle() {
	e.l.Spins = 0
	e.arm()
}

// arm ends an evaluation: event and signals are gone, edge bits are what they are without them, and
// the lead's timer is armed. Nothing fires by it.
func (e *Evaluator) arm() {
	l := e.l
	due := min(e.transitionsHold, e.handoffsHold, e.heldDue(), e.retentionDue())
	if e.skipped {
		due = min(due, l.Due) // what was not looked at holds until then at least
	}
	if e.live() {
		e.ev, e.signalsOn = nil, false
		e.changed()
		for _, i := range e.set.from[l.Stage] {
			if tr := &e.set.transitions[i]; tr.when.ofEvent() && e.at >= tr.ripe(l) {
				_, until := e.test(tr.when)
				due = min(due, until)
			}
		}
		for i := range e.set.handoffs {
			if h := &e.set.handoffs[i]; h.when.ofEvent() {
				on, until := e.test(h.when)
				l.Edges[i].On = on
				due = min(due, until)
			}
		}
	}
	for _, slot := range e.set.inactive {
		due = min(due, e.inactivityDue(slot))
	}
	l.Due = due
}

// look tests a condition and lowers hold to when that ends. One that reads the present event is only tested: settle
// asks until when, once the event is gone.
func (e *Evaluator) look(c *cond, hold *int64) bool {
	if c.ofEvent() && e.live() {
		return e.holds(c)
	}
	on, until := e.test(c)
	*hold = min(*hold, until)
	return on
}

// ofEvent says that a condition reads what is there only while an event is applied.
func (c *cond) ofEvent() bool { return c.deps.event || c.deps.signalNow }
