package rules

// Bounds of a rule set. They keep loading, a lead's state and the cost of one evaluation bounded.
const (
	maxSourceBytes = 8 << 20
	maxYAMLNodes   = 500_000
	maxSignals     = 5_000
	maxScores      = 200
	maxLines       = 10_000
	maxStages      = 200
	maxTransitions = 2_000
	maxHandoffs    = 500
	maxDefines     = 2_000
	maxTraits      = 1_000
	maxMatrices    = 50
	maxTagLines    = 1_000
	maxTiers       = 100
	maxNameBytes   = 128
	maxGrades      = 26
	maxProblems    = 100
	maxDedupe      = 4_096

	// maxExpression bounds an expression's text in bytes, maxExpressionNodes its tree after
	// definitions are inlined, maxExpressionDepth its nesting.
	maxExpression      = 8 << 10
	maxExpressionNodes = 2_000
	maxExpressionDepth = 100
	// celCostLimit bounds one run of one CEL program, in CEL's cost units.
	celCostLimit = 100_000
	// regexProgramSize bounds a compiled pattern, in instructions.
	regexProgramSize = 2_000

	// maxTimes bounds the n of a `times` limit, and how many counted contributions any limit remembers.
	maxTimes = 256
	// maxPointsKept is how many counted contributions a `points` limit without `times` remembers.
	maxPointsKept = 64
	// maxLimitKeys is how many values of a `by` expression have a limit of their own.
	maxLimitKeys = 16
	// maxLedger is how many contributions a lead's ledger keeps.
	maxLedger = 64
	// maxTags is how many tags a lead keeps.
	maxTags = 32
	// maxHeld is how many points and parts of signals a lead holds back.
	maxHeld = 256
	// maxPatterns bounds the lists of traps and user agents, maxRetracts the rules that retract.
	maxPatterns = 1_000
	maxRetracts = 100
	// maxSpins is how many outputs a lead's timers give with no event or command between.
	maxSpins = 10_000
	// maxTop is how many contributions a stage change carries.
	maxTop = 5
	// maxTraitBytes is the longest trait value that is kept; a longer one is kept as null.
	maxTraitBytes = 8 << 10
	// maxZoneBytes is the longest time zone name that is kept.
	maxZoneBytes = 64

	// maxDuration is the longest duration in a rule file: a hundred years.
	maxDuration = 100 * 366 * day
	// minRepeat is the shortest span of a repeating inactivity line.
	minRepeat = hour
)

// Defaults of the settings.
const (
	defaultDedupe    = 128
	defaultMaxLate   = 7 * day
	defaultMaxFuture = 5 * minute
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// The range of event times: years 1 to 9999, which is what CEL timestamps can say.
const (
	minTime = int64(-62135596800000)
	maxTime = int64(253402300799999)
)

// clampTime brings a time into that range.
func clampTime(t int64) int64 { return min(max(t, minTime), maxTime) }
