// Package formats turns the records of a source topic into canonical events.
//
// The canonical event is one message of the Segment spec in JSON: track, identify, page, screen, group or
// alias. Config.Mapping reads other JSON by naming where each field is found, and Config.CloudEvents opens
// CloudEvents envelopes first, in structured and in binary mode. Other encodings plug in as an Encoding.
//
// How records in the wild differ from the spec, and what is made of it:
//
//   - A type counts in any letter case. Where type is missing, action is read in its place, as in the
//     spec's own e-mail examples.
//   - Ids and times are also read from snake_case names (user_id, sent_at, ...) where the camelCase one
//     is missing.
//   - "", null and a missing member are the same: absent.
//   - An id is a string or an integer; integers count as their digits. Anything else, and an id longer
//     than MaxIDBytes, is a dead letter, also for messageId: guessing would give the event to the wrong lead.
//   - An alias belongs to previousId and is a dead letter without it. Other types belong to userId, else
//     anonymousId.
//   - event, name, category or channel that are no strings, and properties, context or traits that are no
//     objects, are absent.
//   - Invalid UTF-8 in strings becomes U+FFFD, as do unpaired surrogates.
//   - Of members with the same name the last one counts.
//   - A time is ISO 8601 text (2026-11-21T18:53:41.770Z, also with an offset, without zone meaning UTC, or
//     a date alone) or a number of milliseconds. Times before 1970 are unreadable: they are the zero values of
//     some client's date type, never something that happened.
//   - Without a readable timestamp the time is the record's. Only when sentAt, originalTimestamp and
//     receivedAt are all readable and there is no timestamp is it corrected as the spec says:
//     receivedAt - (sentAt - originalTimestamp).
package formats
