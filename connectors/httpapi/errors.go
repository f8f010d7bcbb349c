package httpapi

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound is returned by Leads.Lead: there is no such lead.
	ErrNotFound = errors.New("no such lead")
	// ErrNotOwned is returned by Leads.Lead, perhaps as an *ElsewhereError: another process has the
	// lead's shard, or this one has it and is still loading it.
	ErrNotOwned = errors.New("shard is not live here")
	// ErrOutOfRange is returned by Feed.Open and FeedReader.Next for a position whose records are gone
	// (retention) or never were. The subscriber is told to begin again.
	ErrOutOfRange = errors.New("position is out of range")
	// errFellBehind says that a subscriber's next event has left the window.
	errFellBehind = errors.New("fell behind the window of recent events")
	// errClientGone says that a client takes no more.
	errClientGone = errors.New("client is gone")
	// errBadPosition says that an event id was not made by this application.
	errBadPosition = errors.New("not an event id of this application")
	// errRecreated says that an event id was made before the output topics were created anew.
	errRecreated = errors.New("the output topics were created anew since this event id")
)

// ElsewhereError says which process has a lead's shard. It is an ErrNotOwned.
type ElsewhereError struct {
	Shard int32
	// Lead is the id to ask for there, "" for the one that was asked for here.
	Lead string
	// Instance and URL name the owner; "" when unknown.
	Instance, URL string
}

// Error names shard and owner.
func (e *ElsewhereError) Error() string {
	if e.Instance == "" {
		return fmt.Sprintf("shard %d: %v", e.Shard, ErrNotOwned)
	}
	return fmt.Sprintf("shard %d: %v: owned by instance %q", e.Shard, ErrNotOwned, e.Instance)
}

// Unwrap returns ErrNotOwned.
func (e *ElsewhereError) Unwrap() error { return ErrNotOwned }
