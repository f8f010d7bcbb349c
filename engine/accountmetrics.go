package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"leadstream/rules"
)

// accountMetrics count what leads and accounts say to each other.
type accountMetrics struct {
	told, answered, crowded, longGroups prometheus.Counter
}

func newAccountMetrics(counter func(name, help string) prometheus.Counter) accountMetrics {
	return accountMetrics{
		told:       counter("account_letters_total", "Messages of leads to their accounts."),
		answered:   counter("account_answers_total", "Messages of accounts to their members."),
		crowded:    counter("accounts_crowded_total", "Times that a lead came to an account that had no room for one more member of its own: its points were added to the others'."),
		longGroups: counter("groups_too_long_total", "Group calls whose id was longer than 512 bytes: they put nobody anywhere."),
	}
}

func (m *accountMetrics) register(reg prometheus.Registerer) {
	reg.MustRegister(m.told, m.answered, m.crowded, m.longGroups)
}

func (m *accountMetrics) add(c *rules.Counts) {
	m.told.Add(float64(c.Told))
	m.answered.Add(float64(c.Answered))
	m.crowded.Add(float64(c.Crowded))
	m.longGroups.Add(float64(c.LongGroups))
}
