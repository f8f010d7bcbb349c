package kafka

import (
	"testing"

	"leadstream/engine"
)

func TestPoolLendsAgain(t *testing.T) {
	p := newPool(1 << 20)
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
	p := newPool(1 << 20)
	p.PutRecords(p.GetRecords(maxShelved + 1))
	if len(p.client.arrays) != 0 || p.client.room != 0 {
		t.Error("an array over the bound was kept")
	}
	for range 5 {
		p.free(make([]engine.Record, maxShelved/4))
	}
	if len(p.engine.arrays) != 4 || p.engine.room != maxShelved {
		t.Errorf("%d arrays with room for %d wait", len(p.engine.arrays), p.engine.room)
	}
	p.free(make([]engine.Record, maxShelved))
	if len(p.engine.arrays) != 1 || p.engine.room != maxShelved {
		t.Errorf("%d arrays with room for %d wait beside one that fills the shelf", len(p.engine.arrays), p.engine.room)
	}
}

// TestPoolLooksFurther: an array that is too short does not hide a longer one.
func TestPoolLooksFurther(t *testing.T) {
	p := newPool(1 << 20)
	p.free(make([]engine.Record, 100))
	p.free(make([]engine.Record, 1))
	if rs := p.records(50); cap(rs) != 100 || len(p.engine.arrays) != 1 || p.engine.room != 1 {
		t.Errorf("lent one of %d, %d left with room for %d", cap(rs), len(p.engine.arrays), p.engine.room)
	}
}
