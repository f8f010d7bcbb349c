package lead

// OwnRecent makes the array of Recent the lead's own, so that it can be changed in place.
func (l *Lead) OwnRecent() {
	if l.sharedRecent {
		l.Recent, l.sharedRecent = copied(l.Recent, 0), false
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
	l.RecentNext = (l.RecentNext + 1) % uint32(len(l.Recent))
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
	return n + l.Ledger.touch()
}
