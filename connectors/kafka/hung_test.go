package kafka

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w waiting
		said := 0
		for range 100 { // seconds
			if w.long(10 * time.Second) {
				said++
			}
			time.Sleep(time.Second)
		}
		// After 30 s, 60 s and 90 s.
		if said != 3 {
			t.Errorf("a wait of 100 s was reported %d times", said)
		}
		w = waiting{}
		if w.long(10 * time.Second) {
			t.Error("a new wait was reported at once")
		}
	})
}
