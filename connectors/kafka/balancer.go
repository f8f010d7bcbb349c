package kafka

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/vmihailenco/msgpack/v5"

	"leadstream/engine"
)

// balancerName is the protocol that all members of a group must speak. What it means must never change: another
// meaning is another name, which older members offer beside the new one for as long as both run.
const balancerName = "leadstream-1"

// Member says what this process brings into the group, for the group's plan.
type Member struct {
	// Address is the URL of its API, which others are told; "" when it has none.
	Address string
	// Standbys is how many other processes should follow each shard.
	Standbys int
	// Holdings tells what it has of shards' states. It is called before each join, from a goroutine of the client.
	// nil: it has none and can't be a standby.
	Holdings func() []engine.Holding
}

// memberData is what a member tells the leader when it joins. The field order is the format.
type memberData struct {
	_msgpack          struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Instance, Address string
	Standbys          int
	Follows           bool
	// Nonce makes a join that asks for a new plan differ from the one before: a group does nothing for a
	// member that says the same again.
	Nonce    int
	Holdings []holdingData
}

type holdingData struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Shard    int32
	Kind     uint8
	Epoch    uint64
}

// planData is what the leader tells each member beside its shards.
type planData struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Members  []planShare
}

// planShare is one member's share, its shards as bitmaps.
type planShare struct {
	_msgpack                struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Instance, Address       string
	Owned, Standby, Warming []byte
}

// balancer spreads shards over the members by what they hold of them. Its assignments are cooperative: a shard is
// given to nobody in the generation that takes it from its owner.
type balancer struct {
	topic  string // the inbox
	shards int32
	member Member
	name   string // the instance

	mu    sync.Mutex
	nonce int
	plan  *engine.Plan // the last one
}

// ProtocolName implements kgo.GroupBalancer.
func (b *balancer) ProtocolName() string { return balancerName }

// IsCooperative implements kgo.GroupBalancer.
func (b *balancer) IsCooperative() bool { return true }

// replan makes the next join differ from the last.
func (b *balancer) replan() {
	b.mu.Lock()
	b.nonce++
	b.mu.Unlock()
}

// JoinGroupMetadata implements kgo.GroupBalancer.
func (b *balancer) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	b.mu.Lock()
	d := memberData{Instance: b.name, Address: b.member.Address, Standbys: b.member.Standbys, Follows: b.member.Holdings != nil, Nonce: b.nonce}
	b.mu.Unlock()
	if d.Follows {
		for _, h := range b.member.Holdings() {
			d.Holdings = append(d.Holdings, holdingData{Shard: h.Shard, Kind: uint8(h.Kind), Epoch: h.Epoch})
		}
	}
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics, meta.Generation, meta.UserData = 3, topics, generation, pack(&d)
	for _, topic := range topics {
		if owned := current[topic]; len(owned) > 0 {
			o := kmsg.NewConsumerMemberMetadataOwnedPartition()
			o.Topic, o.Partitions = topic, owned
			meta.OwnedPartitions = append(meta.OwnedPartitions, o)
		}
	}
	return meta.AppendTo(nil)
}

func pack(v any) []byte {
	var w bytes.Buffer
	if err := msgpack.NewEncoder(&w).Encode(v); err != nil {
		panic("bug: encoding group metadata: " + err.Error())
	}
	return w.Bytes()
}

// MemberBalancer implements kgo.GroupBalancer.
func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(b, members)
	if err != nil {
		return nil, nil, fmt.Errorf("balancing group: %w", err)
	}
	return cb, cb.MemberTopics(), nil
}

// Balance implements kgo.ConsumerBalancerBalance. It runs in the group's leader.
func (b *balancer) Balance(cb *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	shards := topics[b.topic]
	if shards == 0 || b.shards > 0 && shards > b.shards { // partitions that someone added are no shards
		shards = b.shards
	}
	var members []planMember
	standbys := 0
	cb.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		x := planMember{id: m.MemberID, generation: meta.Generation, holds: map[int32]engine.Holding{}}
		var d memberData
		// One whose words can't be read has shards like everybody, and is known by nothing else.
		if err := msgpack.Unmarshal(meta.UserData, &d); err == nil {
			x.instance, x.address, x.follows = d.Instance, d.Address, d.Follows
			standbys = max(standbys, d.Standbys)
			for _, h := range d.Holdings {
				x.holds[h.Shard] = engine.Holding{Shard: h.Shard, Kind: engine.HoldingKind(h.Kind), Epoch: h.Epoch}
			}
		}
		for _, o := range meta.OwnedPartitions {
			if o.Topic == b.topic {
				x.claims = append(x.claims, o.Partitions...)
			}
		}
		members = append(members, x)
	})
	slices.SortStableFunc(members, func(a, b planMember) int { return cmp.Or(cmp.Compare(a.instance, b.instance), cmp.Compare(a.id, b.id)) })
	return &assignment{topic: b.topic, members: members, plan: makePlan(members, shards, standbys)}
}

// assignment is a plan on its way to the members.
type assignment struct {
	topic   string
	members []planMember
	plan    plan
}

// IntoSyncAssignment implements kgo.IntoSyncAssignment.
func (a *assignment) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment {
	shares := make([]planShare, len(a.members))
	for i, m := range a.members {
		shares[i] = planShare{Instance: m.instance, Address: m.address}
	}
	owned := make([][]int32, len(a.members))
	for s := range a.plan.next {
		shard := int32(s)
		if i := a.plan.next[s]; i >= 0 {
			mark(&shares[i].Owned, shard)
		}
		if i := a.plan.owner[s]; i >= 0 {
			owned[i] = append(owned[i], shard)
		}
		for _, i := range a.plan.standby[s] {
			mark(&shares[i].Standby, shard)
		}
		if i := a.plan.warming[s]; i >= 0 {
			mark(&shares[i].Warming, shard)
		}
	}
	data := pack(&planData{Members: shares})
	var out []kmsg.SyncGroupRequestGroupAssignment
	for i, m := range a.members {
		ma := kmsg.NewConsumerMemberAssignment()
		ma.UserData = data
		if len(owned[i]) > 0 {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic, t.Partitions = a.topic, owned[i]
			ma.Topics = append(ma.Topics, t)
		}
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		x.MemberID, x.MemberAssignment = m.id, ma.AppendTo(nil)
		out = append(out, x)
	}
	return out
}

// ParseSyncAssignment implements kgo.GroupBalancer. It keeps the plan for the change that follows.
func (b *balancer) ParseSyncAssignment(text []byte) (map[string][]int32, error) {
	var ma kmsg.ConsumerMemberAssignment
	if err := ma.ReadFrom(text); err != nil {
		return nil, fmt.Errorf("reading an assignment: %w", err)
	}
	owned := map[string][]int32{}
	for _, t := range ma.Topics {
		owned[t.Topic] = t.Partitions
	}
	var d planData
	if len(ma.UserData) > 0 {
		if err := msgpack.Unmarshal(ma.UserData, &d); err != nil {
			return nil, fmt.Errorf("reading the plan of an assignment: %w", err)
		}
	}
	p := &engine.Plan{}
	for _, m := range d.Members {
		p.Members = append(p.Members, engine.PlanMember{Instance: m.Instance, Address: m.Address, Owned: marked(m.Owned), Standby: marked(m.Standby)})
		if m.Instance == b.name {
			p.Standby, p.Warming = marked(m.Standby), marked(m.Warming)
		}
	}
	b.mu.Lock()
	b.plan = p
	b.mu.Unlock()
	return owned, nil
}

// latest returns the plan of the last assignment, nil before the first, and whether it says of this process what
// the process says of itself: one that came back under its old name is given its old share first.
func (b *balancer) latest() (p *engine.Plan, current bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.plan == nil {
		return nil, true
	}
	for _, m := range b.plan.Members {
		if m.Instance == b.name {
			return b.plan, m.Address == b.member.Address
		}
	}
	return b.plan, true
}

// mark sets a shard's bit.
func mark(bits *[]byte, shard int32) {
	for int(shard)/8 >= len(*bits) {
		*bits = append(*bits, 0)
	}
	(*bits)[shard/8] |= 1 << (shard % 8)
}

func marked(bits []byte) []int32 {
	var shards []int32
	for i, b := range bits {
		for k := range int32(8) {
			if b&(1<<k) != 0 {
				shards = append(shards, int32(i)*8+k)
			}
		}
	}
	return shards
}
