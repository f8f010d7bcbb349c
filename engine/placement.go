package engine

// HoldingKind says how good what a process has of a shard is.
type HoldingKind uint8

// The kinds of holdings, worst first.
const (
	// HoldingStored is a local store of some time ago.
	HoldingStored HoldingKind = iota + 1
	// HoldingFollowing is a standby that is not at the end of the journal yet.
	HoldingFollowing
	// HoldingReady is a standby at the end of the journal: it takes over in milliseconds.
	HoldingReady
	// HoldingLive is the shard itself.
	HoldingLive
)

// String returns the kind as status and logs name it.
func (k HoldingKind) String() string {
	return [...]string{"nothing", "stored", "following", "ready", "live"}[min(int(k), 4)]
}

// Holding is what a process has of a shard's state, by which the group decides who gets the shard.
type Holding struct {
	Shard int32
	Kind  HoldingKind
	// Epoch is the last one of the shard that it holds.
	Epoch uint64
}

// Plan is how the group has spread the shards over its members.
type Plan struct {
	// Members are ordered by instance.
	Members []PlanMember
	// Standby are the shards that this process is to follow, Warming those of them that are to be its own once it
	// has caught up with them. Both ascending.
	Standby, Warming []int32
}

// PlanMember is one process of the application.
type PlanMember struct {
	// Instance is its name; Address the URL of its API, "" when it has none.
	Instance, Address string
	// Owned and Standby are its shards, ascending. A shard that is being handed over is its next owner's.
	Owned, Standby []int32
}

// Owner returns the member that owns a shard or is about to; false when that is not known.
func (p *Plan) Owner(shard int32) (PlanMember, bool) {
	if p == nil {
		return PlanMember{}, false
	}
	for _, m := range p.Members {
		for _, s := range m.Owned {
			if s == shard {
				return m, true
			}
		}
	}
	return PlanMember{}, false
}

// Replanner is a Group that makes plans by what its members hold.
type Replanner interface {
	// Replan asks the group for a new plan: what this process holds has changed. It returns at once.
	Replan()
}
