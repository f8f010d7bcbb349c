// Package lead is leadstream's vocabulary: the Event that comes in, the Lead that is kept and
// the Output that goes out, with the lead's codec. Every other package speaks in these words.
//
// It knows nothing of Kafka, Pebble or CEL, and it holds no behaviour of the scoring language:
// package rules decides what an event does to a lead.
//
// All times are integer milliseconds since the Unix epoch, UTC.
package lead
