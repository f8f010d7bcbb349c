package engine

import "leadstream/state/lead"

// nearby finds the leads of the next records before they are needed, by the records' keys, and touches what an event
// reads of them. A lead that had no event for a while is in memory, far from the processor, and waiting for one such lead
// after another was a twelfth of what a whole process took for an event (BenchmarkEngine, best of five); many are
// waited for at once. What is found decides nothing: whoever uses it compares the id.
type nearby struct {
	found [nearbyLeads]*entry
	from  int    // index of the record that found[0] is of
	count int    // of those in found
	sum   uint64 // of what was touched, so that it is not left out
}

// nearbyLeads is how many are found at once: about as many loads as a processor core has under way.
const nearbyLeads = 16

// of is the entry of record i, if it was found.
func (n *nearby) of(c *cache, recs []Record, i int) *entry {
	if i >= n.from+n.count {
		n.look(c, recs, i)
	}
	return n.found[i-n.from]
}

// look finds the leads of records from index i on. Each step needs what the one before has brought, for all of them.
func (n *nearby) look(c *cache, recs []Record, i int) {
	n.from, n.count = i, min(nearbyLeads, len(recs)-i)
	found := n.found[:n.count]
	for k := range found {
		found[k] = c.get(recs[i+k].Key)
	}
	var leads [nearbyLeads]*lead.Lead
	for k, e := range found {
		if e != nil {
			leads[k] = e.spec
		}
	}
	for _, l := range leads {
		if l != nil {
			n.sum += l.Touch()
		}
	}
}

// begin forgets what was found, and begins with record i of others.
func (n *nearby) begin(i int) {
	clear(n.found[:n.count])
	n.from, n.count = i, 0
}
