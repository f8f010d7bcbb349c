package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

type fakePrivacy struct{ asked *[]ErasureRequest }

func (f fakePrivacy) Erase(_ context.Context, r ErasureRequest) (*Erasure, error) {
	*f.asked = append(*f.asked, r)
	switch r.ID {
	case "slow":
		return &Erasure{Request: "r", State: ErasureApplied}, nil
	case "broken":
		return nil, errors.New("no broker")
	}
	return &Erasure{Request: "r", State: ErasureDone, Found: true}, nil
}

func (f fakePrivacy) Export(_ context.Context, id string) (any, error) {
	if id == "nobody" {
		return nil, ErrNotFound
	}
	return map[string]string{"id": id}, nil
}

// send sends a body.
func send(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := testClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func TestErasures(t *testing.T) {
	var asked []ErasureRequest
	s, _ := start(t, func(c *Config) { c.Privacy = fakePrivacy{&asked} })
	const asJSON = "application/json"
	for _, x := range []struct {
		method, path, body, kind string
		code                     int
		want                     *ErasureRequest
	}{
		{"DELETE", "/v1/leads/u%2F1?by=me&request=q&suppress=true&wait=20s", "", "", 200, &ErasureRequest{ID: "u/1", By: "me", Request: "q", Suppress: true, Wait: 20 * time.Second}},
		{"POST", "/v1/leads/u1/erase", `{"by":"me","wait":"1m"}`, asJSON, 200, &ErasureRequest{ID: "u1", By: "me", Wait: time.Minute}},
		{"POST", "/v1/leads/slow/erase", `{"by":"me"}`, asJSON + "; charset=utf-8", 202, &ErasureRequest{ID: "slow", By: "me"}},
		{"DELETE", "/v1/leads/broken?by=me", "", "", 503, &ErasureRequest{ID: "broken", By: "me"}},
		{"DELETE", "/v1/leads/u1", "", "", 400, nil},
		{"DELETE", "/v1/leads/u1?by=me&suppress=perhaps", "", "", 400, nil},
		{"DELETE", "/v1/leads/u1?by=me&wait=1", "", "", 400, nil},
		{"DELETE", "/v1/leads/u1?by=me&wait=1h", "", "", 400, nil},
		{"DELETE", "/v1/leads/u1?by=" + strings.Repeat("x", 201), "", "", 400, nil},
		{"DELETE", "/v1/leads/u1?by=a%0Ab", "", "", 400, nil},
		{"DELETE", "/v1/leads/%00abc?by=me", "", "", 400, nil},
		{"POST", "/v1/leads/u1/erase", `{"by":"me","supress":true}`, asJSON, 400, nil},
		{"POST", "/v1/leads/u1/erase", `{"by":"me"}`, "text/plain", 415, nil},
		{"GET", "/v1/leads/u1/erase", "", "", 405, nil},
		{"POST", "/v1/leads/u1", "", "", 405, nil},
		{"POST", "/v1/leads/u1/export", "", "", 405, nil},
	} {
		asked = nil
		code, _, body := send(t, x.method, s.URL()+x.path, x.body, "Content-Type", x.kind)
		if code != x.code {
			t.Errorf("%s %s: %d, want %d: %s", x.method, x.path, code, x.code, body)
		}
		switch {
		case x.want == nil && len(asked) > 0:
			t.Errorf("%s %s has asked for %+v", x.method, x.path, asked)
		case x.want != nil && (len(asked) != 1 || asked[0] != *x.want):
			t.Errorf("%s %s has asked for %+v, want %+v", x.method, x.path, asked, *x.want)
		}
	}
	if code, _, body := get(t, "GET", s.URL()+"/v1/leads/u1/export"); code != 200 || !strings.Contains(body, `"id": "u1"`) {
		t.Errorf("export: %d %s", code, body)
	}
	if code, _, _ := get(t, "GET", s.URL()+"/v1/leads/nobody/export"); code != 404 {
		t.Errorf("export of nobody: %d", code)
	}
}

// TestPrivacyRole lets nobody erase or export who may only read, and nobody read who may only erase.
func TestPrivacyRole(t *testing.T) {
	var asked []ErasureRequest
	read, readHash := NewToken()
	officer, officerHash := NewToken()
	tokens, err := ParseTokens([]byte(readHash + " read,ops\n" + officerHash + " privacy\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, func(c *Config) { c.Privacy, c.Tokens = fakePrivacy{&asked}, tokens })
	for _, x := range []struct {
		method, path, token string
		code                int
	}{
		{"DELETE", "/v1/leads/u1?by=me", read, 403},
		{"DELETE", "/v1/leads/u1?by=me", "", 401},
		{"DELETE", "/v1/leads/u1?by=me", officer, 200},
		{"GET", "/v1/leads/u1/export", read, 403},
		{"GET", "/v1/leads/u1/export", officer, 200},
		{"GET", "/v1/leads/u1", officer, 403},
		{"GET", "/v1/events/stream", officer, 403},
		{"GET", "/metrics", officer, 403},
	} {
		headers := []string{}
		if x.token != "" {
			headers = []string{"Authorization", "Bearer " + x.token}
		}
		if code, _, _ := get(t, x.method, s.URL()+x.path, headers...); code != x.code {
			t.Errorf("%s %s: %d, want %d", x.method, x.path, code, x.code)
		}
	}
	if len(asked) != 1 {
		t.Errorf("%d erasures, want 1", len(asked))
	}
}
