package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// sourceMagic begins the bytes that Source returns. Its number changes with their form.
const sourceMagic = "leadstream rules 1\n"

// Source returns the bytes from which ParseSource makes the same rule set with the same id.
func (s *Set) Source() []byte { return s.source }

// encodeSource joins the files' texts, each with its length before it. Their names are no part of it: the
// same rules in another directory are the same version.
func encodeSource(files []File, zones string) []byte {
	b := append(binary.AppendUvarint([]byte(sourceMagic), uint64(len(zones))), zones...)
	for _, f := range files {
		b = binary.AppendUvarint(b, uint64(len(f.Src)))
		b = append(b, f.Src...)
	}
	return b
}

// ErrSource says that bytes given to ParseSource are not what Source returned: they are damaged, or of a
// newer version.
var ErrSource = errors.New("not the source of a rule set")

// ParseSource makes a rule set of what Source returned. Errors are ErrSource, or a *Problems when the rules
// are not valid for this version.
func ParseSource(src []byte) (*Set, error) {
	if len(src) < len(sourceMagic) || string(src[:len(sourceMagic)]) != sourceMagic {
		return nil, fmt.Errorf("reading a published rule set: %w", ErrSource)
	}
	rest := src[len(sourceMagic):]
	next := func() (b []byte, ok bool) {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return nil, false
		}
		b, rest = rest[used:used+int(n)], rest[used+int(n):]
		return b, true
	}
	zones, ok := next()
	if !ok {
		return nil, fmt.Errorf("reading a published rule set: %w", ErrSource)
	}
	var files []File
	for len(rest) > 0 {
		text, ok := next()
		if !ok {
			return nil, fmt.Errorf("reading a published rule set: %w", ErrSource)
		}
		files = append(files, File{Name: fmt.Sprintf("file %d", len(files)+1), Src: text, expanded: true})
	}
	return parse(files, string(zones))
}
