package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v4"

	"leadstream/state/lead"
)

// Parse reads rule files as one rule set: their mappings are joined, their lists appended in the order of
// the files. The error is a *Problems with every mistake that was found.
func Parse(files ...File) (*Set, error) { return parse(files, zoneVersion) }

func parse(files []File, zones string) (*Set, error) {
	ld := newLoader(make(map[string]int))
	ld.set.source = encodeSource(files, zones)
	if len(ld.set.source) > maxSourceBytes {
		return nil, &Problems{List: []Problem{{File: files[0].Name, Message: fmt.Sprintf("the rule files are longer than %d bytes", maxSourceBytes)}}}
	}
	var tops []ynode
	for i, f := range files {
		ld.order[f.Name] = i
		if top, ok := ld.readYAML(f); ok {
			tops = append(tops, top)
		}
	}
	if len(ld.errors) == 0 && len(tops) == 0 {
		name := "rules"
		if len(files) > 0 {
			name = files[0].Name
		}
		ld.add(Problem{File: name, Message: "there are no rules in it"})
	}
	ld.load(tops)
	if err := ld.err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(ld.set.source)
	ld.set.id = lead.RuleSetID(binary.BigEndian.Uint64(sum[:8]))
	ld.set.version = hex.EncodeToString(sum[:8])
	if a := ld.set.accounts; a != nil {
		a.set.id, a.set.version = ld.set.id, ld.set.version
	}
	ld.set.warnings = ld.sorted(ld.warnings)
	return ld.set, nil
}

func newLoader(order map[string]int) *loader {
	return &loader{
		collector: collector{order: order},
		set: &Set{consent: consentRules{gate: -1}, dedupe: defaultDedupe, identity: identityRules{maxIDs: defaultMaxIDs}, maxLate: defaultMaxLate, eraseGrace: defaultEraseGrace, maxFuture: defaultMaxFuture, machines: machines{
			delivered: -1, mail: mustField("event.properties.email_id"), link: mustField("event.properties.link"),
		}},
		signalAt: make(map[string]int), scoreAt: make(map[string]int), stageAt: make(map[string]int),
		defines: make(map[string]*define), traitNames: make(map[string]bool), seen: make(map[string]ynode),
	}
}

// loader reads a rule set in two passes: first all names and numbers, then, when every name is known, the
// expressions.
type loader struct {
	collector
	set *Set
	env *cel.Env

	signalAt, scoreAt, stageAt                       map[string]int
	signalNames, scoreNames, gradedNames, stageNames []string
	matrixNames                                      []string
	defines                                          map[string]*define
	defineNames                                      []string
	traitNames                                       map[string]bool
	// seen are the top-level keys that may come once, over all files.
	seen map[string]ynode
	// later are the expressions to compile, in the order of the files.
	later []func()
	// lineNodes and lineKinds are, by line, where it stands and its name when it has no id.
	lineNodes []ynode
	lineKinds []string
	// derivedNodes are, by score, where its sum stands.
	derivedNodes []ynode
	matrixScores []matrixScores
	// signalNodes and stageNodes are where signals and stages are declared.
	signalNodes, stageNodes []ynode
	// stageRefs are checked when all stages are known.
	stageRefs []func()
	// places are where names were declared first: see firstPlace.
	places map[string]ynode
	// conds, thresholds and gradeNodes are what lint looks at.
	conds      []placedCond
	thresholds []threshold
	gradeNodes map[int]ynode
	// accounts is the section of that name, nil without it.
	accounts *accountLoader
	// roles are those that members can have, in the loader of accounts' rules.
	roles []string
}

func (ld *loader) load(tops []ynode) {
	for _, top := range tops {
		ld.object(top, "a rule file",
			field{key: "signals", read: ld.readSignals},
			field{key: "define", read: ld.readDefines},
			field{key: "scores", read: ld.readScores},
			field{key: "stages", read: ld.once("stages", ld.readStages)},
			field{key: "matrix", read: ld.readMatrices},
			field{key: "tags", read: ld.once("tags", ld.readTags)},
			field{key: "machines", read: ld.once("machines", ld.readMachines)},
			field{key: "retract", read: ld.readRetracts},
			field{key: "timezone", read: ld.once("timezone", ld.readTimezone)},
			field{key: "terminal", read: ld.once("terminal", ld.readTerminal)},
			field{key: "transitions", read: ld.readTransitions},
			field{key: "handoffs", read: ld.readHandoffs},
			field{key: "dedupe", read: ld.once("dedupe", func(v ynode) { setInt(ld, v, "dedupe", 0, maxDedupe, &ld.set.dedupe) })},
			field{key: "max_late", read: ld.once("max_late", func(v ynode) { ld.setDuration(v, "max_late", 0, &ld.set.maxLate) })},
			field{key: "max_future", read: ld.once("max_future", func(v ynode) { ld.setDuration(v, "max_future", 0, &ld.set.maxFuture) })},
			field{key: "merge_rank", read: ld.once("merge_rank", ld.readMergeRank)},
			field{key: "identity", read: ld.once("identity", ld.readIdentity)},
			field{key: "accounts", read: ld.once("accounts", ld.readAccounts)},
			ld.unsupported("triggers", "triggers"),
			field{key: "consent", read: ld.once("consent", ld.readConsent)}, ld.unsupported("caps", "caps"),
			field{key: "retention", read: ld.once("retention", func(v ynode) { ld.setDuration(v, "retention", minRetention, &ld.set.retention) })},
			field{key: "erase_grace", read: ld.once("erase_grace", func(v ynode) { ld.setDuration(v, "erase_grace", minGrace, &ld.set.eraseGrace) })},
			field{key: includeKey, read: ld.readInclude},
		)
	}
	if len(tops) == 0 {
		return
	}
	ld.finishStages()
	ld.finishNames()
	ld.beginAccounts()
	if ld.compileLater(tops[0].f.name) {
		ld.finishAccounts()
		ld.finish()
	}
}

func (ld *loader) finishStages() {
	if len(ld.set.stages) == 0 && ld.seen["stages"].Node == nil {
		ld.addStage(ynode{}, defaultStage)
	}
	for _, f := range ld.stageRefs {
		f()
	}
}

// compileLater compiles the expressions, when all names are known.
func (ld *loader) compileLater(file string) bool {
	env, err := newEnv(ld.scoreNames, ld.gradedNames, ld.matrixNames, ld.accountScores())
	if err != nil {
		ld.add(Problem{File: file, Message: err.Error()})
		return false
	}
	ld.env = env
	for _, name := range ld.defineNames {
		ld.resolve(ld.defines[name])
	}
	for _, f := range ld.later {
		f()
	}
	return true
}

// defaultStage is the one stage of a rule set that declares none.
const defaultStage = "lead"

// finishNames puts in order what later passes look up.
func (ld *loader) finishNames() {
	ld.set.scoreSlot = ld.scoreAt
	for i := range ld.set.scores {
		if s := &ld.set.scores[i]; len(s.gradeNames) > 0 {
			ld.gradedNames = append(ld.gradedNames, s.name)
		}
	}
	for i := range ld.set.matrices {
		ld.finishMatrix(i)
	}
}

func (ld *loader) readTimezone(v ynode) {
	name, ok := ld.name(v, "timezone")
	if !ok {
		return
	}
	var z zones
	if _, err := z.load(name); err != nil {
		ld.errorf(v, "timezone: %s; write a name of the IANA database like Europe/Berlin", err)
		return
	}
	ld.set.timezone = name
}

// finish derives what Apply looks up, when everything has been compiled.
func (ld *loader) finish() {
	s := ld.set
	s.traits = slices.Sorted(maps.Keys(ld.traitNames))
	if len(s.traits) > maxTraits {
		ld.add(Problem{File: ld.firstFile(), Message: fmt.Sprintf("the rules read %d traits, more than %d", len(s.traits), maxTraits)})
	}
	s.traitSlot = make(map[string]int, len(s.traits))
	for i, name := range s.traits {
		s.traitSlot[name] = i
	}
	ld.finishScores()
	ld.finishKeepers()
	ld.finishHolds()
	s.entering = make([][]int, len(s.stages))
	for i := range s.lines {
		if st := s.lines[i].enter; st >= 0 && st < len(s.entering) {
			s.entering[st] = append(s.entering[st], i)
		}
	}
	if len(ld.errors) == 0 {
		s.finishReaders()
	}
	s.from = make([][]int, len(s.stages))
	for i := range s.transitions {
		for st, possible := range s.transitions[i].from {
			if possible && !s.stages[st].terminal {
				s.from[st] = append(s.from[st], i)
			}
		}
	}
	if len(ld.errors) > 0 {
		return
	}
	ld.warnUnused()
}

func (ld *loader) firstFile() string {
	for name, i := range ld.order {
		if i == 0 {
			return name
		}
	}
	return "rules"
}

// once makes a top-level key that may come in one of the files only.
func (ld *loader) once(key string, read func(ynode)) func(ynode) {
	return func(v ynode) {
		if first, twice := ld.seen[key]; twice {
			ld.errorf(v, "%s is set twice; first in %s:%d", key, first.f.name, first.Line)
			return
		}
		ld.seen[key] = v
		read(v)
	}
}

// unsupported is a key of the language that this version does not have.
func (ld *loader) unsupported(key, what string) field {
	return field{key: key, read: func(v ynode) { ld.errorf(v, "not supported by this version: %s", what) }, hidden: true}
}

func setInt(ld *loader, v ynode, what string, least, most int, to *int) {
	if n, ok := ld.integer(v, what, least, most); ok {
		*to = n
	}
}

func (ld *loader) setDuration(v ynode, what string, least int64, to *int64) {
	if d, ok := ld.duration(v, what, least); ok {
		*to = d
	}
}

// declare notes a name of a kind; double names are reported.
func (ld *loader) declare(n ynode, kind, name string, at map[string]int, slot, most int) bool {
	if _, twice := at[name]; twice {
		ld.errorf(n, "%s %q is there twice%s", kind, name, ld.firstPlace(kind, name))
		return false
	}
	if slot >= most {
		if slot == most {
			ld.errorf(n, "more than %d %ss", most, kind)
		}
		return false
	}
	at[name] = slot
	ld.notePlace(kind, name, n)
	return true
}

func (ld *loader) readSignals(n ynode) {
	if n.Kind != yaml.MappingNode {
		ld.errorf(n, "signals must be a mapping from names to {match: ...}, found %s", n.kindName())
		return
	}
	ld.each(n, func(key, v ynode) {
		name, ok := ld.name(key, "a signal's name")
		slot := len(ld.set.signals)
		if !ok || !ld.declare(key, "signal", name, ld.signalAt, slot, maxSignals) {
			return
		}
		ld.set.signals = append(ld.set.signals, signal{name: name})
		ld.signalNames = append(ld.signalNames, name)
		ld.signalNodes = append(ld.signalNodes, key)
		what, matched, before := "signals."+name, false, len(ld.errors)
		isObject := ld.object(v, what,
			field{key: "match", read: func(v ynode) {
				matched = true
				if t, ok := ld.expression(v, what+".match", inMatch); ok {
					ld.later = append(ld.later, func() { ld.set.signals[slot].match = ld.match(t, ld.rule("signal", name)) })
				}
			}},
			field{key: "hold", read: func(v ynode) { ld.setDuration(v, what+".hold", 1, &ld.set.signals[slot].hold) }},
		)
		if isObject && !matched && len(ld.errors) == before {
			ld.errorf(v, `%s needs match, an expression over the event like event.name == "Demo Requested"`, what)
		}
	})
}

// define is a named condition or constant.
type define struct {
	name  string
	text  text
	expr  celTree
	state uint8 // 0 not looked at, 1 being resolved, 2 done
}

func (ld *loader) readDefines(n ynode) {
	if n.Kind != yaml.MappingNode {
		ld.errorf(n, "define must be a mapping from names to expressions, found %s", n.kindName())
		return
	}
	ld.each(n, func(key, v ynode) {
		name := key.Value
		switch {
		case !isIdentifier(name):
			ld.errorf(key, "a definition's name must be a word of letters, digits and _, found %q", shorten(name))
			return
		case name == "traits" || name == "stage" || ld.fieldsOf(name) != nil || name == "score" || name == "grade" || name == "account" || slices.Contains(celTypeNames, name):
			ld.errorf(key, "a definition can't be called %s, which expressions know already", name)
			return
		case ld.defines[name] != nil:
			ld.errorf(key, "definition %q is there twice%s", name, ld.firstPlace("definition", name))
			return
		case len(ld.defines) >= maxDefines:
			ld.errorf(key, "more than %d definitions", maxDefines)
			return
		}
		if t, ok := ld.expression(v, "define."+name, inDefine); ok {
			ld.defines[name] = &define{name: name, text: t}
			ld.defineNames = append(ld.defineNames, name)
			ld.notePlace("definition", name, key)
		}
	})
}

// resolve parses and checks a definition, and those that it uses before it. ok is false for one with a mistake.
func (ld *loader) resolve(d *define) (ok bool) {
	switch d.state {
	case 1:
		ld.errorf(d.text.n, "definition %q uses itself", d.name)
		d.state, d.expr = 2, nil
		return false
	case 2:
		return d.expr != nil
	}
	d.state = 1
	// What is put in elsewhere is the tree before its types are checked: literals are adapted to their
	// neighbours where it is used.
	p, ok := ld.parseTree(d.text)
	if ok {
		_, ok = ld.compile(d.text)
	}
	if ok && d.state == 1 {
		d.expr = p
	}
	d.state = 2
	return d.expr != nil
}

// isIdentifier says that CEL can read a name as one word.
func isIdentifier(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxNameBytes && !slices.Contains(celReserved, s)
}

var celReserved = []string{
	"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
	"import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
}
