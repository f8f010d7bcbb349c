package engine_test

import (
	"fmt"
	"math/rand/v2"

	"leadstream/rules"
)

func (s *sim) events(n int) {
	s.say("%d events", n)
	for range n {
		topic := "web"
		if s.rng.IntN(4) == 0 {
			topic = "mail"
		}
		at := s.clock()
		if s.rng.IntN(10) == 0 {
			at += s.rng.Int64N(8*86_400_000) - 7*86_400_000
		}
		s.event(topic, at)
		if s.erng != nil && s.erng.IntN(6) == 0 {
			s.erase()
		}
		if s.firms != nil && s.firms.rng.IntN(2) == 0 {
			s.work(at)
		}
	}
}

func (s *sim) event(topic string, at int64) {
	s.sent++
	msg := s.sent
	if s.rng.IntN(20) == 0 {
		msg -= s.rng.IntN(20)
	}
	v := fmt.Sprintf(`{"userId":%q,"timestamp":%d,`, leadName(s.rng), at)
	if s.rng.IntN(2) == 0 { // without one, whatever is applied twice counts twice
		v += fmt.Sprintf(`"messageId":"m%d",`, msg)
	}
	if s.erng != nil && s.erng.IntN(4) == 0 {
		v += fmt.Sprintf(`"anonymousId":%q,`, deviceName(s.erng))
	}
	switch s.rng.IntN(12) {
	case 0, 1:
		v += `"type":"track","event":"Demo Requested"}`
	case 2, 3:
		v += fmt.Sprintf(`"type":"track","event":"Downloaded","properties":{"points":%d}}`, s.rng.IntN(12))
	case 4, 5:
		v += fmt.Sprintf(`"type":"identify","traits":{"employees":%d,"title":%q}}`, s.rng.IntN(400), []string{"CTO", "Intern"}[s.rng.IntN(2)])
	case 6:
		v = v[:s.rng.IntN(len(v))] // broken
	default:
		v += `"type":"page","properties":{"path":"/pricing"}}`
	}
	s.log.Append(topic, s.rng.Int32N(s.parts[topic]), nil, []byte(v), min(at, s.clock()))
}

// erase has somebody erased by one of their ids.
func (s *sim) erase() {
	id := leadName(s.erng)
	if s.erng.IntN(3) == 0 {
		id = deviceName(s.erng)
	}
	s.tell(id, rules.Command{Kind: rules.Erase, ID: fmt.Sprintf("r%d", s.sent), Suppress: s.erng.IntN(20) == 0, Salt: fmt.Appendf(nil, "%d", s.sent)})
}

func deviceName(rng *rand.Rand) string { return fmt.Sprintf("dev-%02d", rng.IntN(12)) }
