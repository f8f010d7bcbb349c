package rules

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"time"
)

// zoneVersion is the version of the IANA time zone data in zoneinfo.zip. It is part of a rule set's id.
const zoneVersion = "2025c"

// zoneData is the time zone database as the Go distribution has it (public domain). The machine's own is
// never asked: two machines with different versions would give two answers.
//
//go:embed zoneinfo.zip
var zoneData []byte

// maxZones bounds an evaluator's cache of time zones. The database has fewer than 600 names.
const maxZones = 1000

// zones caches time zones by name. It belongs to one evaluator. An unknown name is nil.
type zones struct {
	files map[string]*zip.File
	known map[string]*time.Location
}

// load returns a time zone of the embedded database.
func (z *zones) load(name string) (*time.Location, error) {
	if name == "UTC" || name == "" {
		return time.UTC, nil
	}
	if loc, ok := z.known[name]; ok {
		if loc == nil {
			return nil, fmt.Errorf("unknown time zone %q", shorten(name))
		}
		return loc, nil
	}
	if z.files == nil {
		r, err := zip.NewReader(bytes.NewReader(zoneData), int64(len(zoneData)))
		if err != nil {
			panic("bug: the embedded time zones are damaged: " + err.Error())
		}
		z.files, z.known = make(map[string]*zip.File, len(r.File)), make(map[string]*time.Location)
		for _, f := range r.File {
			z.files[f.Name] = f
		}
	}
	loc, err := z.read(name)
	if len(z.known) < maxZones {
		z.known[name] = loc
	}
	return loc, err
}

func (z *zones) read(name string) (*time.Location, error) {
	f := z.files[name]
	if f == nil || f.FileInfo().IsDir() {
		return nil, fmt.Errorf("unknown time zone %q", shorten(name))
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("reading time zone %q: %w", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading time zone %q: %w", name, err)
	}
	return time.LoadLocationFromTZData(name, data)
}

// zone returns the lead's time zone, else the rule set's.
func (x *scope) zone() *time.Location {
	if x.l.Zone != "" {
		if loc, err := x.zones.load(x.l.Zone); err == nil {
			return loc
		}
	}
	loc, err := x.zones.load(x.set.timezone)
	if err != nil {
		panic("bug: " + err.Error() + ", which was checked when the rules were loaded")
	}
	return loc
}

// updateZone notes the time zone that an event gives, if it is a known one.
func (e *Evaluator) updateZone(latest bool) {
	if !e.set.usesLocal || !latest || len(e.ev.Context) == 0 {
		return
	}
	name := e.ev.Context.Get("timezone").Bytes()
	if len(name) == 0 || len(name) > maxZoneBytes || e.l.Zone == string(name) {
		return
	}
	if _, err := e.zones.load(string(name)); err == nil {
		e.l.Zone = string(name)
		e.touchEverything()
	}
}
