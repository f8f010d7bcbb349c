package kafka

import (
	"testing"

	"leadstream/engine"
)

func TestPoolLendsAgain(t *testing.T) {
	p := new(pool)
	first := append(p.records(10), engine.Record{Key: []byte("k"), Value: []byte("v")})
	at := &first[0]
	p.free(first)
	if at.Key != nil || at.Value != nil {
		t.Error("what was freed still refers to its record")
	}
	again := p.records(5)
	if len(again) != 0 || cap(again) < 10 || &again[:1][0] != at {
		t.Errorf("lent %d of %d, another array", len(again), cap(again))
	}
	if other := p.records(5); cap(other) > 0 && &other[:1][0] == at {
		t.Error("the same array was lent twice")
	}
}

func TestPoolKeepsLittle(t *testing.T) {
	p := new(pool)
	p.PutRecords(p.GetRecords(maxPooled + 1))
	if len(p.client) != 0 {
		t.Error("an array over the bound was kept")
	}
	for n := range pooled + 4 {
		p.free(make([]engine.Record, n+1))
	}
	if len(p.engine) != pooled {
		t.Errorf("%d arrays wait", len(p.engine))
	}
	longest := 0
	for _, rs := range p.engine {
		longest = max(longest, cap(rs))
	}
	if longest != pooled+4 {
		t.Errorf("the longest array is of %d", longest)
	}
}
