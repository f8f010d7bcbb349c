package lead

// ledgerRoom is the room behind a full ledger: so many versions go on in one array before it is copied.
const ledgerRoom = 8

// OwnRecent makes the array of Recent the lead's own, so that it can be changed in place.
func (l *Lead) OwnRecent() {
	if l.sharedRecent {
		l.Recent, l.sharedRecent = copied(l.Recent, 0), false
	}
}

// OwnLedger makes the array of Ledger the lead's own, so that it can be changed in place.
func (l *Lead) OwnLedger() {
	if l.sharedLedger {
		l.Ledger, l.sharedLedger = copied(l.Ledger, 0), false
	}
}

// Remember adds a message hash to Recent; the oldest makes room for it if there are most, at least 1.
func (l *Lead) Remember(hash uint64, most int) {
	if n := len(l.Recent); n < most {
		if n == cap(l.Recent) {
			l.sharedRecent = false // append finds another array
		}
		l.Recent = append(l.Recent, hash)
		return
	}
	l.OwnRecent()
	l.Recent[l.RecentNext] = hash
	l.RecentNext = (l.RecentNext + 1) % len(l.Recent)
}

// Enter adds a contribution to Ledger; the oldest makes room for it if there are most, at least 1.
func (l *Lead) Enter(c Contribution, most int) {
	n := len(l.Ledger)
	switch {
	case n < most:
		if n == cap(l.Ledger) {
			l.sharedLedger = false // append finds another array
		}
		l.Ledger = append(l.Ledger, c)
	case !l.sharedLedger:
		copy(l.Ledger, l.Ledger[1:])
		l.Ledger[n-1] = c
	case n < cap(l.Ledger):
		l.Ledger = append(l.Ledger[1:], c)
	default:
		own := make([]Contribution, n, n+ledgerRoom)
		copy(own, l.Ledger[1:])
		own[n-1] = c
		l.Ledger, l.sharedLedger = own, false
	}
}

// Touch reads a word of each piece of memory that an event reads of a lead, so that it is near the processor afterwards.
// What it returns means nothing.
func (l *Lead) Touch() uint64 {
	n := l.Epoch + uint64(l.Clock) + uint64(l.StageSince) + uint64(l.After) + uint64(len(l.Account))
	if len(l.Recent) > 0 {
		n += l.Recent[0]
	}
	if len(l.Scores) > 0 {
		n += uint64(l.Scores[0].At)
	}
	if k := len(l.Ledger); k > 0 {
		n += l.Ledger[k-1].Message
	}
	return n
}
