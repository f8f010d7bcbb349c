package rules

import (
	"cmp"
	"math"

	"leadstream/state/lead"
)

// CommandKind is what a command asks for.
type CommandKind uint8

// The kinds of commands.
const (
	// Adjust adds points to a score by hand: one contribution of the line "manual".
	Adjust CommandKind = iota + 1
	// Retract takes back what a message contributed.
	Retract
	// Move puts a lead into a stage, out of a terminal one too.
	Move
	// Link makes the lead of an id part of that of With, whoever they are; Unlink makes an id that was linked to another
	// a lead of its own again. They are said to ids, by Receive and Unlink, and refused by Command.
	Link
	Unlink
	// Erase removes a lead and all ids that point to it. It is said to leads by Evaluator.Erase, and refused by Command.
	Erase
	// Consent notes a consent to a purpose, or its withdrawal.
	Consent
)

// Command is what an operator or a program says to a lead. It is applied like an event, at its own time:
// it moves the clock and is evaluated, but it is none for inactivity and windows.
type Command struct {
	Kind CommandKind
	// Time is the command's own, in ms.
	Time int64
	// ID is the command's message id, "" if it has none: a command is applied once, as an event is.
	ID string
	// Score and Points are for Adjust.
	Score  string
	Points float64
	// Message is the hash of the message to Retract.
	Message uint64
	// Stage and Reason are for Move.
	Stage, Reason string
	// With is the id to Link to.
	With string
	// Suppress, of Erase, bars all later events of the ids too. Salt is random: a shard's first one is what its erased ids
	// are hashed with. By is who asked, for the audit record.
	Suppress bool
	Salt     []byte
	By       string
	// Purpose and Granted are for Consent; Source says where it was said, "command" if it is "".
	Purpose string
	Granted bool
	Source  string
}

// Verdicts of Command beside Applied and Duplicate.
const (
	// Missed says that nothing is known any more, or not yet, of the message to retract. If it comes, it is
	// retracted then.
	Missed Verdict = iota + 3
	// Refused says that the rule set has no such score, stage or purpose, that the score is not added to, that the
	// points are no finite number, or that the lead is in that stage already. Nothing changed.
	Refused
)

// Command applies a command to a lead, which it changes in place, and appends what is to be said to out.
func (e *Evaluator) Command(l *lead.Lead, c *Command, out []lead.Output) ([]lead.Output, Verdict) {
	if IsAccount(l.ID) && !e.set.ofAccounts() {
		return e.accountCommand(l, c, out)
	}
	var hash uint64
	if c.ID != "" {
		hash = lead.HashString(c.ID)
	}
	if e.isDuplicate(l, hash) {
		e.counts.Duplicates++
		return out, Duplicate
	}
	score, stage, ok := e.targets(l, c)
	if !ok {
		return out, Refused
	}
	t := clampTime(c.Time)
	begins := !begun(l)
	if begins {
		e.start(l, t)
	}
	out = e.Fire(l, t, out)
	if !begun(l) { // it was removed
		return out, Refused
	}
	e.begin(l, out)
	l.Clock = max(l.Clock, t)
	e.remember(l, hash)
	e.enter(l, l.Clock, nil)
	e.because(c.ID, nil)
	e.touchEverything()
	if begins {
		e.enterStage()
	}
	verdict := Applied
	switch c.Kind {
	case Adjust:
		e.adjust(score, c.Points, t, hash)
	case Retract:
		if !e.retract(c.Message) {
			verdict = Missed
		}
	case Move:
		e.moveTo(stage, c.Reason)
	case Consent:
		e.setConsent(e.set.purposeSlot(c.Purpose), c.Granted, t, cmp.Or(c.Source, consentCommand))
	}
	e.changed()
	e.evaluate(byEvent)
	e.settle()
	e.say()
	return e.Fire(l, l.Clock, e.out), verdict
}

// targets looks up what a command names.
func (e *Evaluator) targets(l *lead.Lead, c *Command) (score, stage int, ok bool) {
	switch c.Kind {
	case Adjust:
		score, ok = e.set.scoreSlot[c.Score]
		ok = ok && isFinite(c.Points)
		if ok {
			d := e.set.scores[score].decay
			ok = d != stateScore && d != derived
		}
		return score, 0, ok
	case Move:
		for i := range e.set.stages {
			if e.set.stages[i].name == c.Stage {
				return 0, i, int(l.Stage) != i
			}
		}
		return 0, 0, false
	case Consent:
		return 0, 0, e.set.purposeSlot(c.Purpose) >= 0
	}
	return 0, 0, c.Kind == Retract && c.Message != 0
}

// adjust makes a contribution of the line "manual".
func (e *Evaluator) adjust(score int, w float64, s int64, message uint64) {
	points, moved := e.addPoints(score, w, s, message)
	if !moved {
		return
	}
	c := lead.Contribution{Message: message, Time: s, Points: points, Score: uint16(score), Line: lead.NoSlot, Signal: lead.NoSlot}
	if sc := &e.set.scores[score]; sc.decay == decayStepped {
		c.Steps = e.l.Scores[score].Steps - (e.at-s)/sc.span
	}
	e.enterLedger(c)
}

// moveTo puts the lead into a stage.
func (e *Evaluator) moveTo(stage int, reason string) {
	e.changeStage(&transition{to: stage, reason: reason}, e.cause())
}

// retract takes back what a message contributed: the points that are left, the entries in windows and the
// places in limits. It gives nothing back to others and undoes no transition. It reports whether anything
// was known of the message; a message that has not come yet is retracted when it does.
func (e *Evaluator) retract(message uint64) bool {
	l := e.l
	known := false
	var kept []lead.Contribution
	for _, c := range l.Ledger.All() {
		if c.Message != message {
			kept = append(kept, c)
			continue
		}
		known = true
		e.takeBack(&c)
	}
	if known {
		l.Ledger = lead.LedgerOf(kept)
	}
	known = e.forgetEntries(message) || known
	known = e.dropHeld(message) || known
	if known {
		e.touchEverything()
		return true
	}
	for _, h := range l.Recent {
		if h == message {
			return false // it came, and is no longer known
		}
	}
	e.awaitRetracted(message)
	return false
}

// takeBack removes what is left of a contribution from its score, and its place in its line's limit.
func (e *Evaluator) takeBack(c *lead.Contribution) {
	e.takePoints(c)
	if c.Line == lead.NoSlot || e.set.lines[c.Line].limit == nil {
		return
	}
	for i := range e.l.Lines {
		if x := &e.l.Lines[i]; x.Slot == c.Line && e.set.lines[c.Line].limit.releases(x, c.Time) {
			e.set.lines[c.Line].limit.release(x, c.Time, c.Points)
			return
		}
	}
}

// takePoints removes what is left of a contribution from a score that is one value. Of others the entries in their
// windows are removed.
func (e *Evaluator) takePoints(c *lead.Contribution) {
	sc, v := &e.set.scores[c.Score], &e.l.Scores[c.Score]
	if sc.stores() {
		left := sc.left(v, c, e.at)
		before := sc.stored(v, e.at)
		after := clip(before-left, sc.min, sc.max)
		if rest := after - (before - left); rest != 0 || sc.decay == decayStepped {
			v.Remainder, v.RemainderAt = finite(sc.remainder(v, e.at)+rest), e.at
		}
		v.Steps += sc.stepsIn(v, e.at)
		v.Value, v.At = after, e.at
	}
}

// releases says that a limit's memory holds a contribution of that time.
func (l *limit) releases(x *lead.Line, s int64) bool {
	for _, t := range x.Counted {
		if t == s {
			return true
		}
	}
	return false
}

// forgetEntries removes a message from all windows. What has gone into a bucket stays, as does what a
// window keeps no message of: distinct values, and the mere time of the last event.
func (e *Evaluator) forgetEntries(message uint64) bool {
	known := false
	for i := range e.l.Signals {
		s := &e.l.Signals[i]
		if e.set.keepers[s.Slot].distinct {
			continue
		}
		n := 0
		for _, x := range s.Entries {
			if x.Message == message {
				known = true
				continue
			}
			s.Entries[n] = x
			n++
		}
		if n == len(s.Entries) {
			continue
		}
		s.Entries = s.Entries[:n]
		s.Last = math.MinInt64
		if b := len(s.Buckets); b > 0 {
			s.Last = s.Buckets[b-1].Newest
		}
		if n > 0 {
			s.Last = max(s.Last, s.Entries[n-1].Time)
		}
	}
	if known {
		e.dropEmptyWindows()
	}
	return known
}

// dropEmptyWindows removes windows in which nothing is left: for conditions the signal never came.
func (e *Evaluator) dropEmptyWindows() {
	l, n := e.l, 0
	for i := range l.Signals {
		if l.Signals[i].Last == math.MinInt64 {
			continue
		}
		if n != i {
			l.Signals[n] = l.Signals[i]
		}
		n++
	}
	clear(l.Signals[n:])
	l.Signals = l.Signals[:n]
}

// maxEarly is how many retractions wait for their messages.
const maxEarly = 16

// awaitRetracted notes a message that is to be retracted when it comes.
func (e *Evaluator) awaitRetracted(message uint64) {
	l := e.l
	for _, h := range l.Rare().Early {
		if h == message {
			return
		}
	}
	if len(l.Rare().Early) >= maxEarly {
		copy(l.Rare().Early, l.Rare().Early[1:])
		l.OwnRare().Early = l.Rare().Early[:maxEarly-1]
	}
	l.OwnRare().Early = append(l.Rare().Early, message)
}

// retractEarly retracts the present event's message if that was asked for before it came.
func (e *Evaluator) retractEarly(message uint64) {
	for i, h := range e.l.Rare().Early {
		if h == message && message != 0 {
			e.l.OwnRare().Early = append(e.l.Rare().Early[:i], e.l.Rare().Early[i+1:]...)
			e.retract(message)
			return
		}
	}
}
