// Package importer turns files of old data into events: CSV, columns separated by spaces, JSON lines, and
// JSON lines that already are Segment messages. Files may be gzip-compressed.
//
// A Mapping says how. It is a YAML file; the ones in deploy/import are commented examples. Texts in it are
// templates: {name} stands for a column (in JSON lines for a dotted path of members), {file} for the
// file's name without directories and .gz, {line} for the line the record starts on, and {{ for a brace.
//
// A line that can't be made an event is counted and reported with file and line, and the import goes on:
// see Stats. Faults never show a line's content.
package importer
