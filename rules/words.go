package rules

// ParseDuration reads the notation of rule files, 30d or 1d12h, for other files that use it. It returns ms.
func ParseDuration(text string) (int64, error) { return parseDuration(text) }

// FormatDuration writes ms >= 0 in that notation.
func FormatDuration(ms int64) string { return formatDuration(ms) }

// Suggest returns ` (did you mean "..."?)`, with the known name nearest to one that is not known, or "" when
// none is near.
func Suggest(name string, known []string) string { return suggest(name, known) }
