package workload

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	// never is later than any event.
	never = int64(math.MaxInt64)
)

// deed is something that a person, or somebody else to them, will do.
type deed struct {
	at   int64
	what func(p *person, d deed) []byte
	// n is the mail's or webinar's number, or what is left of a visit.
	n int
	// key and message are a record that was made before and arrives now.
	key     string
	message []byte
}

// person is one made-up human. Everything about them follows from the seed and their index.
type person struct {
	config  *Config
	rng     *rand.Rand
	index   int
	persona *persona
	zone    zone
	agent   string
	// plans are in no order; there are never more than a handful.
	plans []deed

	key, anonymousID, userID, email, domain string
	known, unsubscribed, asked              bool
	visits                                  int
}

func newPerson(c *Config, index int) *person {
	p := &person{config: c, index: index, rng: rand.New(rand.NewPCG(c.Seed, uint64(index)+1))}
	roll := p.rng.IntN(100)
	for i := range personas {
		p.persona = &personas[i]
		if roll -= p.persona.share; roll < 0 {
			break
		}
	}
	p.zone = pick(p, zones)
	p.agent = pick(p, agents)
	p.anonymousID = p.uuid()
	p.key = p.anonymousID
	// People come over the first two thirds, so that most have time to get somewhere.
	first := c.Start + p.rng.Int64N(c.Duration.Milliseconds()*2/3+1)
	p.plan(deed{at: p.atWork(first), what: (*person).visit})
	return p
}

func pick[T any](p *person, from []T) T { return from[p.rng.IntN(len(from))] }

// chance is true in percent of a hundred cases.
func (p *person) chance(percent int) bool { return p.rng.IntN(100) < percent }

// between returns a time from low to high, both ms.
func (p *person) between(low, high int64) int64 { return low + p.rng.Int64N(high-low+1) }

// due is when the person does something next.
func (p *person) due() int64 {
	at := never
	for i := range p.plans {
		at = min(at, p.plans[i].at)
	}
	return at
}

// take removes what is due next; of equals the one planned first.
func (p *person) take() deed {
	first := 0
	for i := range p.plans {
		if p.plans[i].at < p.plans[first].at {
			first = i
		}
	}
	d := p.plans[first]
	p.plans = append(p.plans[:first], p.plans[first+1:]...)
	return d
}

func (p *person) plan(d deed) { p.plans = append(p.plans, d) }

// act does a deed and returns the record's key and value. The value is nil if no record arrives now.
func (p *person) act(d deed) (string, []byte) {
	if d.message != nil {
		return d.key, d.message
	}
	message := d.what(p, d)
	if message == nil {
		return "", nil
	}
	again := deed{key: p.key, message: message}
	if p.rng.Float64() < p.config.Duplicates {
		again.at = d.at + p.between(second, 2*hour)
		p.plan(again)
	}
	if p.rng.Float64() < p.config.Late {
		again.at = d.at + p.between(minute, 6*hour)
		p.plan(again)
		return "", nil
	}
	return p.key, message
}

// atWork moves most times into office hours where the person lives.
func (p *person) atWork(at int64) int64 {
	if p.chance(15) {
		return at
	}
	local := at + p.zone.minutes*minute
	days, inDay := local/day, local%day
	if inDay >= 18*hour {
		days, inDay = days+1, 0
	}
	for (days+3)%7 > 4 { // day 0 was a Thursday; 5 and 6 are the weekend
		days, inDay = days+1, 0
	}
	if inDay < 8*hour {
		inDay = p.between(8*hour, 18*hour)
	}
	return max(at, days*day+inDay-p.zone.minutes*minute)
}

// visit starts a session and plans the next one.
func (p *person) visit(d deed) []byte {
	p.visits++
	if p.visits < p.persona.sessions {
		gap := p.rng.ExpFloat64() * float64(p.persona.gapHours)
		next := d.at + hour + int64(float64(gap*float64(hour)))
		p.plan(deed{at: p.atWork(next), what: (*person).visit})
	}
	return p.read(deed{at: d.at, n: 1 + p.rng.IntN(p.persona.pages)})
}

// read looks at a page and goes on: to the next one, or to something that leads on.
func (p *person) read(d deed) []byte {
	message := p.pageView(d.at, pick(p, p.persona.interest))
	next := d.at + p.between(15*second, 4*minute)
	switch {
	case d.n > 1:
		p.plan(deed{at: next, what: (*person).read, n: d.n - 1})
	case !p.known && p.chance(p.persona.identify):
		p.plan(deed{at: next, what: (*person).identify})
	case p.known && !p.asked && p.visits > 1 && p.chance(p.persona.demo):
		p.plan(deed{at: next, what: (*person).askForDemo})
	case p.known && p.chance(p.persona.download):
		p.plan(deed{at: next, what: (*person).download})
	case p.known && p.chance(p.persona.webinar):
		p.plan(deed{at: next, what: (*person).register, n: p.rng.IntN(len(webinars))})
	}
	return message
}

// identify leaves an address. From here on the person is known, gets mail every week and has a user id.
func (p *person) identify(d deed) []byte {
	first, last := pick(p, firstNames), pick(p, lastNames)
	company := pick(p, companyFirst) + pick(p, companySecond)
	p.domain = strings.ToLower(company) + ".example"
	work := !p.chance(p.persona.freeMail)
	if !work {
		p.domain = "freemail.example"
	}
	p.known = true
	p.userID = "u-" + strconv.Itoa(100_000+p.index)
	p.key = p.userID
	p.email = strings.ToLower(first) + "." + strings.ToLower(last) + "@" + p.domain
	m := p.message(d.at, "identify")
	m.open("traits")
	m.text("email", p.email)
	m.text("name", first+" "+last)
	m.text("title", pick(p, p.persona.titles))
	if work {
		m.text("company", company)
		m.text("industry", pick(p, industries))
		m.number("employees", int64(pick(p, companySizes)))
	}
	m.shut()
	if p.chance(80) {
		p.plan(deed{at: d.at + p.between(minute, 3*hour), what: (*person).verify})
	}
	p.plan(deed{at: d.at + p.between(20*second, 3*minute), what: (*person).download})
	p.planMail(d.at, 1)
	return m.end()
}

func (p *person) verify(d deed) []byte {
	m := p.track(d.at, "Email Verified")
	return m.end()
}

func (p *person) download(d deed) []byte {
	m := p.track(d.at, "Content Downloaded")
	m.text("content", pick(p, papers))
	return m.end()
}

func (p *person) register(d deed) []byte {
	m := p.track(d.at, "Webinar Registered")
	m.text("webinar", webinars[d.n])
	if p.chance(65) {
		p.plan(deed{at: p.atWork(d.at + p.between(day, 6*day)), what: (*person).attend, n: d.n})
	}
	return m.end()
}

func (p *person) attend(d deed) []byte {
	m := p.track(d.at, "Webinar Attended")
	m.text("webinar", webinars[d.n])
	m.number("minutes", p.between(5, 55))
	return m.end()
}

func (p *person) askForDemo(d deed) []byte {
	p.asked = true
	m := p.track(d.at, "Demo Requested")
	m.text("page", "/demo")
	if p.chance(85) {
		p.plan(deed{at: p.atWork(d.at + p.between(2*hour, 3*day)), what: (*person).answer})
	}
	return m.end()
}

// answer is what sales makes of a demo request.
func (p *person) answer(d deed) []byte {
	if p.chance(70) {
		return p.track(d.at, "Sales Accepted").end()
	}
	m := p.track(d.at, "Sales Rejected")
	m.text("reason", pick(p, rejections))
	return m.end()
}
