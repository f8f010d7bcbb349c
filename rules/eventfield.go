package rules

import (
	"bytes"
	"unsafe"

	"leadstream/state/lead"
)

// eventText is a declared text field of the event, by its place in eventStrings.
type eventText struct{ field int }

// Page fields are looked for in the order that SEMANTICS gives: properties, then context.page.
const (
	fieldID = iota
	fieldType
	fieldName
	fieldCategory
	fieldPath
	fieldURL
	fieldHost
	fieldReferrer
	fieldTitle
	fieldSearch
	fieldChannel
	fieldSource
	fieldUserID
	fieldAnonymousID
	fieldGroupID
	numEventTexts
)

func (t eventText) text(x *scope) []byte { return x.eventText(t.field) }

// eventCache keeps what was derived from the present event.
type eventCache struct {
	have   [numEventTexts]bool
	text   [numEventTexts][]byte
	traits lead.Object
	traced bool
}

func (x *scope) eventText(field int) []byte {
	ev := x.ev
	switch field {
	case fieldID:
		return ev.MessageID
	case fieldType:
		return asBytes(ev.Type.String())
	case fieldName:
		return asBytes(ev.Name)
	case fieldChannel:
		return ev.Channel
	case fieldSource:
		return asBytes(ev.Source)
	case fieldUserID:
		return ev.UserID
	case fieldAnonymousID:
		return ev.AnonymousID
	case fieldGroupID:
		return ev.GroupID
	}
	c := &x.cache
	if !c.have[field] {
		c.have[field], c.text[field] = true, x.derive(field)
	}
	return c.text[field]
}

func (x *scope) derive(field int) []byte {
	switch field {
	case fieldCategory:
		if len(x.ev.Category) > 0 {
			return x.ev.Category
		}
		return x.ev.Properties.Get("category").Bytes()
	case fieldPath:
		if p := x.pageField("path"); len(p) > 0 {
			return p
		}
		if p := urlPath(x.ev.Properties.Get("url").Bytes()); len(p) > 0 {
			return p
		}
		return urlPath(x.contextPage("url"))
	case fieldHost:
		return urlHost(x.eventText(fieldURL))
	}
	return x.pageField(eventStrings[field])
}

// pageField is properties.name, else context.page.name.
func (x *scope) pageField(name string) []byte {
	if v := x.ev.Properties.Get(name).Bytes(); len(v) > 0 {
		return v
	}
	return x.contextPage(name)
}

func (x *scope) contextPage(name string) []byte {
	return x.ev.Context.Get("page").Object().Get(name).Bytes()
}

// eventTraits are those of an identify or group, else context.traits of any call.
func (x *scope) eventTraits() lead.Object {
	if len(x.ev.Traits) > 0 {
		return x.ev.Traits
	}
	if !x.cache.traced {
		x.cache.traced, x.cache.traits = true, x.ev.Context.Get("traits").Object()
	}
	return x.cache.traits
}

// urlPath returns the path of a URL as it is written, "/" when it has none. A text without a scheme that
// starts with a slash is taken as a path with query and fragment.
func urlPath(u []byte) []byte {
	rest, ok := afterHost(u)
	if !ok {
		return nil
	}
	if i := bytes.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	if len(rest) == 0 {
		return []byte("/")
	}
	return rest
}

// afterHost returns what follows a URL's host. ok is false if it is no URL.
func afterHost(u []byte) (rest []byte, ok bool) {
	if len(u) > 0 && u[0] == '/' && !bytes.HasPrefix(u, []byte("//")) {
		return u, true
	}
	i := bytes.Index(u, []byte("//"))
	if i < 0 || i > 0 && u[i-1] != ':' {
		return nil, false
	}
	rest = u[i+2:]
	if j := bytes.IndexAny(rest, "/?#"); j >= 0 {
		return rest[j:], true
	}
	return nil, true
}

// urlHost returns a URL's host in lower case, without user and port.
func urlHost(u []byte) []byte {
	i := bytes.Index(u, []byte("//"))
	if i < 0 || i > 0 && u[i-1] != ':' {
		return nil
	}
	h := u[i+2:]
	if j := bytes.IndexAny(h, "/?#"); j >= 0 {
		h = h[:j]
	}
	if j := bytes.LastIndexByte(h, '@'); j >= 0 {
		h = h[j+1:]
	}
	if j := bytes.LastIndexByte(h, ':'); j >= 0 && !bytes.Contains(h[j:], []byte("]")) {
		h = h[:j]
	}
	return bytes.ToLower(h)
}

// asBytes returns s as bytes that must not be changed.
func asBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
