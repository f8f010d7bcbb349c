package workload

// planMail plans the next newsletter: it goes out on Tuesdays at nine where the person lives.
func (p *person) planMail(after int64, number int) {
	local := after + p.zone.minutes*minute
	days := local/day + 1
	for (days+3)%7 != 1 {
		days++
	}
	p.plan(deed{at: days*day + 9*hour + p.between(0, 10*minute) - p.zone.minutes*minute, what: (*person).deliver, n: number})
}

// deliver brings a mail. A scanner follows every link at once; people take their time, and some leave.
func (p *person) deliver(d deed) []byte {
	if p.unsubscribed {
		return nil
	}
	p.planMail(d.at, d.n+1)
	switch {
	case p.persona.scanner:
		at := d.at + p.between(200, 900)
		p.plan(deed{at: at, what: (*person).openMail, n: d.n})
		for range 4 {
			at += p.between(50, 500)
			p.plan(deed{at: at, what: (*person).clickMail, n: d.n})
		}
	case p.chance(p.persona.open):
		at := d.at + p.between(2*minute, 30*hour)
		p.plan(deed{at: at, what: (*person).openMail, n: d.n})
		if p.chance(p.persona.click) {
			p.plan(deed{at: at + p.between(5*second, 5*minute), what: (*person).clickMail, n: d.n})
		} else if p.chance(3) {
			p.plan(deed{at: at + p.between(5*second, minute), what: (*person).unsubscribe, n: d.n})
		}
	}
	return p.mail(d, "Email Delivered").end()
}

func (p *person) openMail(d deed) []byte { return p.mail(d, "Email Opened").end() }

func (p *person) clickMail(d deed) []byte {
	m := p.mail(d, "Email Link Clicked")
	link := pick(p, p.persona.interest)
	m.text("link_url", "https://www.leadstream.example"+link.path)
	if !p.persona.scanner {
		p.plan(deed{at: d.at + p.between(second, 10*second), what: (*person).read, n: 1 + p.rng.IntN(2)})
	}
	return m.end()
}

func (p *person) unsubscribe(d deed) []byte {
	p.unsubscribed = true
	return p.mail(d, "Unsubscribed").end()
}

// mail starts a message about a mail, with the names that the Segment spec gives its properties.
func (p *person) mail(d deed, event string) *message {
	m := p.track(d.at, event)
	m.text("email_id", "mail-"+itoa(d.n)+"-"+p.userID)
	m.text("campaign_id", "newsletter-"+itoa(d.n))
	return m
}
