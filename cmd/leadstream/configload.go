package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// system is what the program takes from its surroundings besides files, so that tests can give it.
type system struct {
	getenv   func(string) (string, bool)
	hostname func() (string, error)
}

// loadConfig reads and checks a configuration file. All mistakes are one *configError; other errors are of
// reading the file.
func loadConfig(file string, sys system) (*config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: reading configuration: %w", errConfig, err)
	}
	c := defaultConfig()
	r := readYAML(file, text, &c)
	resolvePaths(reflect.ValueOf(&c).Elem(), filepath.Dir(file))
	if c.Instance == "" {
		c.Instance = defaultInstance(sys)
	}
	for i := range c.Sources {
		if c.Sources[i].Name == "" {
			c.Sources[i].Name = c.Sources[i].Topic
		}
	}
	if len(r.problems) == 0 || len(r.places) > 0 { // A file that is no YAML has no keys to be checked.
		check(r, &c, sys)
	}
	if err := r.err(); err != nil {
		return nil, fmt.Errorf("%w\n%w", errConfig, err)
	}
	return &c, nil
}

// defaultInstance is the host's name: the same again after a restart, and different on another machine.
func defaultInstance(sys system) string {
	name, err := sys.hostname()
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, name)
}

// resolvePaths makes relative paths relative to the configuration file, so that it means the same from
// every working directory. Fields that are paths have the tag path.
func resolvePaths(v reflect.Value, dir string) {
	for f, fv := range v.Fields() {
		switch {
		case fv.Kind() == reflect.Struct:
			resolvePaths(fv, dir)
		case f.Tag.Get("path") == "":
		case fv.Kind() == reflect.Slice:
			for i := range fv.Len() {
				resolvePath(fv.Index(i), dir)
			}
		default:
			resolvePath(fv, dir)
		}
	}
}

func resolvePath(v reflect.Value, dir string) {
	if path := v.String(); path != "" && !filepath.IsAbs(path) {
		v.SetString(filepath.Join(dir, path))
	}
}
