package workload

import (
	"encoding/hex"
	"strconv"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// message is a Segment message that is being written. Everything put in is plain ASCII.
type message struct {
	b     []byte
	depth int
}

func (m *message) name(name string) {
	if c := m.b[len(m.b)-1]; c != '{' {
		m.b = append(m.b, ',')
	}
	m.b = append(m.b, '"')
	m.b = append(m.b, name...)
	m.b = append(m.b, '"', ':')
}

func (m *message) text(name, value string) {
	m.name(name)
	m.b = strconv.AppendQuote(m.b, value)
}

func (m *message) number(name string, value int64) {
	m.name(name)
	m.b = strconv.AppendInt(m.b, value, 10)
}

// open starts an object, shut ends the innermost.
func (m *message) open(name string) {
	m.name(name)
	m.b = append(m.b, '{')
	m.depth++
}

func (m *message) shut() {
	m.b = append(m.b, '}')
	m.depth--
}

// end closes what is open and returns the text.
func (m *message) end() []byte {
	for m.depth >= 0 {
		m.shut()
	}
	return m.b
}

// message starts a message of the person that happens at the time.
func (p *person) message(at int64, typ string) *message {
	m := &message{b: append(make([]byte, 0, 512), '{')}
	m.text("type", typ)
	m.text("messageId", p.uuid())
	if p.known {
		m.text("userId", p.userID)
	}
	m.text("anonymousId", p.anonymousID)
	m.text("timestamp", time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"))
	m.open("context")
	m.text("timezone", p.zone.name)
	m.text("userAgent", p.agent)
	m.shut()
	return m
}

// track starts a track call, up to the inside of its properties.
func (p *person) track(at int64, event string) *message {
	m := p.message(at, "track")
	m.text("event", event)
	m.open("properties")
	return m
}

func (p *person) pageView(at int64, seen page) []byte {
	m := p.message(at, "page")
	m.text("name", seen.title)
	m.open("properties")
	m.text("path", seen.path)
	m.text("url", "https://www.leadstream.example"+seen.path)
	m.text("title", seen.title)
	if r := pick(p, referrers); r != "" {
		m.text("referrer", r)
	}
	return m.end()
}

// uuid returns the next id in the form of a random UUID.
func (p *person) uuid() string {
	var raw [16]byte
	for i := 0; i < len(raw); i += 8 {
		for j, bits := 0, p.rng.Uint64(); j < 8; j, bits = j+1, bits>>8 {
			raw[i+j] = byte(bits)
		}
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	h := hex.EncodeToString(raw[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
