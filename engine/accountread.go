package engine

import (
	"context"

	"leadstream/rules"
)

// AccountView is what is known of an account as of a time: committed state only.
type AccountView struct {
	rules.AccountView
	Shard   int32
	RuleSet string
}

// Account returns the committed state of an account, with its scores as of `at`. It is safe on any goroutine. Errors are
// those of Lead.
func (e *Engine) Account(_ context.Context, account string, at int64) (*AccountView, error) {
	id := rules.AccountID(account)
	shard := ShardOf([]byte(id), e.cfg.Shards)
	l, err := e.committedLead(shard, id)
	if err != nil {
		return nil, err
	}
	if !rules.Begun(l) {
		return nil, ErrNotFound
	}
	set, err := e.ruleSet(l.Rules)
	if err != nil {
		return nil, err
	}
	v, ok := set.NewEvaluator().ViewAccount(l, at)
	if !ok {
		return nil, ErrNotFound
	}
	return &AccountView{AccountView: v, Shard: shard, RuleSet: set.Version()}, nil
}
