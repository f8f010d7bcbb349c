package httpapi

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Role is what a token may do.
type Role uint8

// The roles. They are separate on purpose: what scrapes metrics need not see people.
const (
	// RoleRead may read leads and subscribe to events: personal data.
	RoleRead Role = 1 << iota
	// RoleOps may read status and metrics: no personal data.
	RoleOps
	// RolePrivacy may erase people, and export all that is kept of one. It may not read leads or events.
	RolePrivacy
)

// Tokens are the tokens that may ask. Only their hashes are known.
type Tokens []Token

// Token is one of them.
type Token struct {
	// Hash is the SHA-256 of the token's text.
	Hash  [sha256.Size]byte
	Roles Role
}

// maxTokens bounds a list, because every request compares with all of them.
const maxTokens = 1000

// NewToken makes a token from 256 random bits, and the hash that goes into the list of tokens.
func NewToken() (token, hash string) {
	var secret [32]byte
	rand.Read(secret[:]) // Never fails: the runtime ends the process instead.
	token = "ls_" + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// ParseTokens reads a list of tokens: one a line, the SHA-256 of the token in hex, then its roles
// (read, ops, privacy, or several with commas; read when there are none), then anything that helps to remember whose it is.
// Empty lines and lines that start with # are left out. It reports every mistake with its line, and
// never repeats what stands there: it might be a token.
func ParseTokens(text []byte) (Tokens, error) {
	var tokens Tokens
	var faults []error
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		token := Token{Roles: RoleRead}
		sum, err := hex.DecodeString(fields[0])
		if err != nil || len(sum) != sha256.Size {
			faults = append(faults, fmt.Errorf("line %d: the first word is no SHA-256 in hex (64 digits); the token itself does not belong here", n))
			continue
		}
		copy(token.Hash[:], sum)
		if len(fields) > 1 {
			if token.Roles, err = parseRoles(fields[1]); err != nil {
				faults = append(faults, fmt.Errorf("line %d: %w", n, err))
			}
		}
		tokens = append(tokens, token)
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, err)
	}
	if len(tokens) > maxTokens {
		faults = append(faults, fmt.Errorf("%d tokens: at most %d", len(tokens), maxTokens))
	}
	return tokens, errors.Join(faults...)
}

func parseRoles(list string) (Role, error) {
	var roles Role
	for name := range strings.SplitSeq(list, ",") {
		switch name {
		case "read":
			roles |= RoleRead
		case "ops":
			roles |= RoleOps
		case "privacy":
			roles |= RolePrivacy
		default:
			return 0, errors.New("the second word must be read, ops, privacy, or several with commas")
		}
	}
	return roles, nil
}

// find returns the roles of a token, false if it is not one of them. It compares with every hash in
// constant time, so that the time taken says nothing about which came close.
func (ts Tokens) find(token string) (Role, bool) {
	sum := sha256.Sum256([]byte(token))
	var roles Role
	found := 0
	for _, t := range ts {
		equal := subtle.ConstantTimeCompare(sum[:], t.Hash[:])
		roles |= t.Roles * Role(equal)
		found |= equal
	}
	return roles, found == 1
}
