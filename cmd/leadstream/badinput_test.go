package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// oddRecord is a record that no well-meaning producer sends.
type oddRecord struct {
	what    string
	key     []byte
	value   []byte
	headers []kgo.RecordHeader
	// reason is the dead letter's; "" for a record that is odd but good, which then counts for lead.
	reason, lead string
	// cut says that the dead letter can't hold the whole value; bare that it can't hold the headers.
	cut, bare bool
}

// private is in everything that is refused, and must appear nowhere but in the dead letters.
const private = "jane.doe@example.com"

// oddRecords are the bad inputs that were thought of.
func oddRecords() []oddRecord {
	var all []oddRecord
	add := func(what, value, reason, lead string) {
		all = append(all, oddRecord{what: what, key: []byte("k"), value: []byte(value), reason: reason, lead: lead})
	}
	bad := func(what, value, reason string) { add(what, value, reason, "") }
	// good makes an event of a lead of its own with more members in it.
	good := func(what, members string) {
		id := fmt.Sprintf("odd-%d", len(all))
		add(what, fmt.Sprintf(`{"type":"track","event":"Odd","userId":%q,%s}`, id, members), "", id)
	}
	notJSON(bad)
	badEnvelopes(bad)
	large(add, good)
	oddTimes(good)
	oddContents(good)
	oddIDs(add)
	all = append(all,
		oddRecord{what: "tombstone", key: []byte(private), reason: "empty"},
		oddRecord{what: "tombstone without key", reason: "empty"},
		oddRecord{what: "no bytes", key: []byte(private), value: []byte{}, reason: "empty"},
		oddRecord{what: "key of other bytes", key: []byte("\xff\x00\n"), value: []byte(`{"type":"track","userId":"odd-key"}`), lead: "odd-key"},
		oddRecord{what: "headers", value: []byte("{"), reason: "not_json",
			headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("1")}, {Key: "trace", Value: []byte("2")}, {Key: "", Value: nil}, {Key: "\xff", Value: []byte{}}}},
		oddRecord{what: "40 KiB of headers", value: []byte("{"), reason: "not_json", bare: true,
			headers: []kgo.RecordHeader{{Key: "much", Value: []byte(strings.Repeat("h", 40<<10))}}},
		oddRecord{what: "3 MiB", key: []byte("k"), value: []byte(`{"type":"track","userId":"` + private + `","x":"` + strings.Repeat("x", 3<<20) + `"}`),
			reason: "too_large", cut: true},
	)
	return all
}

func notJSON(bad func(what, value, reason string)) {
	for _, text := range []string{
		"{", "}", "]", `{"type"`, `{"type":}`, `{"type":"track",}`, `{"type":"track" "userId":"x"}`, `{'type':'track'}`, `{type:"track"}`,
		`{"type":"track","userId":"` + private, `{"type":"track","userId":"` + private + `"}}`, `{"type":"track"}{"type":"track"}`,
		`{"userId":"` + private + `","x":NaN}`, `{"userId":"u","x":Infinity}`, `{"userId":"u","x":-Infinity}`, `{"userId":"u","x":nan}`,
		`{"userId":"u","x":01}`, `{"userId":"u","x":+1}`, `{"userId":"u","x":.5}`, `{"userId":"u","x":1.}`, `{"userId":"u","x":0x1}`,
		`{"userId":"u","x":tru}`, `{"userId":"u","x":undefined}`, "{\"userId\":\"u\",\"x\":\"a\nb\"}", `{"userId":"u","x":"\x41"}`, `{"userId":"u","x":"\u12"}`,
		"\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00", "\x00", "   ", "\n", "<xml/>", "type=track&userId=u", private, `{"a":1}// comment`,
		"\x00\x00\x00\x00\x01\x02ann", "\x83\xa4type\xa5track", // Avro with a schema id, msgpack
		strings.Repeat("[", 100), strings.Repeat("{\"a\":", 100),
	} {
		bad("text that is no JSON", text, "not_json")
	}
	for _, text := range []string{"null", "true", "42", "-0.5e3", `"` + private + `"`, "[]", "[{}]", `[{"type":"track","userId":"u"}]`} {
		bad("JSON that is no object", text, "not_object")
	}
	for _, levels := range []int{129, 10_000, 400_000} {
		bad("lists in lists", `{"type":"track","userId":"u","properties":{"x":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+"}}", "too_deep")
		bad("objects in objects", strings.Repeat(`{"a":`, levels/4)+"1"+strings.Repeat("}", levels/4),
			map[bool]string{true: "unknown_type", false: "too_deep"}[levels/4 <= 128])
	}
}

func badEnvelopes(bad func(what, value, reason string)) {
	for _, text := range []string{
		"{}", `{"userId":"u"}`, `{"type":"","userId":"u"}`, `{"type":null,"userId":"u"}`, `{"type":7,"userId":"u"}`, `{"type":["track"],"userId":"u"}`,
		`{"type":"` + private + `","userId":"u"}`, `{"type":"trac\u212a","userId":"u"}`, `{"type":"track ","userId":"u"}`, `{"Type":"track","userId":"u"}`,
	} {
		bad("type", text, "unknown_type")
	}
	for _, text := range []string{
		`{"type":"track"}`, `{"type":"track","userId":""}`, `{"type":"track","userId":null,"anonymousId":null}`, `{"type":"page","anonymousId":""}`,
		`{"type":"alias","userId":"` + private + `"}`, `{"type":"alias","userId":"u","previousId":""}`, `{"type":"track","UserId":"u"}`, `{"type":"group","groupId":"g"}`,
	} {
		bad("no id", text, "no_id")
	}
	for _, id := range []string{"true", "false", "[]", `["` + private + `"]`, "{}", `{"id":1}`, "1.5", "1e3", "-0.0", `"` + strings.Repeat("i", 1025) + `"`, strings.Repeat("9", 1025)} {
		for _, field := range []string{"userId", "anonymousId", "messageId"} {
			bad("id", fmt.Sprintf(`{"type":"track","userId":"u","anonymousId":"a",%q:%s}`, field, id), "bad_id")
		}
		bad("id", fmt.Sprintf(`{"type":"alias","userId":"u","previousId":%s}`, id), "bad_id")
		bad("id", fmt.Sprintf(`{"type":"group","userId":"u","groupId":%s}`, id), "bad_id")
	}
}

func large(add func(what, value, reason, lead string), good func(what, members string)) {
	const limit = 1 << 20
	fill := func(id string, size int) string {
		text := fmt.Sprintf(`{"type":"track","event":"Odd","userId":%q,"properties":{"x":""}}`, id)
		return strings.Replace(text, `"x":""`, `"x":"`+strings.Repeat("x", size-len(text))+`"`, 1)
	}
	add("as large as may be", fill("odd-large", limit), "", "odd-large")
	add("a byte too large", fill(private, limit+1), "too_large", "")
	good("a large name", `"messageId":"n","event":"`+strings.Repeat("n", 900_000)+`"`)
	good("a large trait", `"context":{"traits":{"email":"`+strings.Repeat("e", 900_000)+`"}}`)
	good("a long number", `"properties":{"amount":1`+strings.Repeat("0", 300_000)+`}`)
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, `"p%d":%d,`, i, i)
	}
	good("many properties", `"properties":{`+many.String()+`"amount":1}`)
	good("many list items", `"properties":{"items":[`+strings.Repeat("0,", 200_000)+`0]}`)
	good("deep enough", `"properties":{"x":`+strings.Repeat("[", 126)+strings.Repeat("]", 126)+`}`)
}

func oddTimes(good func(what, members string)) {
	for _, at := range []string{
		`"1970-01-01T00:00:00Z"`, `"1970-01-01"`, "0", "1", "-1", `"1969-12-31T23:59:59Z"`, `"0001-01-01T00:00:00Z"`, `"2099-12-31T23:59:59Z"`, `"9999-12-31T23:59:59.999Z"`,
		"4102444800000", "1e308", "-1e308", "9223372036854775807", "1e-300", `""`, "null", "true", "{}", "[]", `"soon"`, `"2026-13-45T99:99:99Z"`, `"2026-02-30"`,
		`"2026-11-21T00:00:60Z"`, `"2026-11-21T00:00:00+99:99"`, `"2026-11-21 00:00"`, `"12/31/2026"`, `"1795287600000"`, `"NaN"`, `"\u0000"`,
	} {
		good("time", `"timestamp":`+at)
		good("times of the skew correction", fmt.Sprintf(`"originalTimestamp":%s,"sentAt":%[1]s,"receivedAt":"2026-11-21T00:00:00Z"`, at))
		good("times of the skew correction", fmt.Sprintf(`"originalTimestamp":"2026-11-21T00:00:00Z","sentAt":%s,"receivedAt":%[1]s`, at))
	}
}

func oddContents(good func(what, members string)) {
	for _, x := range []string{`"text"`, "7", "true", "null", "[]", "[[]]", `[{"amount":1}]`, `""`} {
		good("properties of another type", `"properties":`+x)
		good("context of another type", `"context":`+x)
		good("traits of another type", `"traits":`+x)
		good("event of another type", `"event":`+x)
		good("name, category and channel of other types", fmt.Sprintf(`"name":%s,"category":%[1]s,"channel":%[1]s`, x))
		good("a property of another type", `"properties":{"amount":`+x+`,"url":`+x+`,"path":`+x+`}`)
		good("traits of a context of other types", `"context":{"traits":{"email":`+x+`,"employees":`+x+`},"page":`+x+`}`)
	}
	for _, n := range []string{"1e999", "-1e999", "1e-999", "1e308", "-1e308", "-0", "0.1", "9007199254740993", `"NaN"`, `"Infinity"`} {
		good("a number beyond doubles", `"properties":{"amount":`+n+`}`)
	}
	good("text that is no UTF-8", "\"event\":\"\xff\xfe\",\"properties\":{\"\xc3\x28\":\"\xed\xa0\x80\"}")
	good("half a surrogate pair", `"event":"\ud800","properties":{"\udfff":"\ud800\ud800"}`)
	good("zero bytes", `"event":"a\u0000b","properties":{"\u0000":"\u0000"}`)
	good("members twice", `"event":"Other","event":"Odd","properties":{"amount":1},"properties":{"amount":2}`)
	good("names written with escapes", `"\u0065vent":"Odd","\u0070roperties":{"\u0061mount":3}`)
	good("members without name", `"":1,"properties":{"":{"":""}}`)
	good("a messageId of no text", `"messageId":""`)
	good("a URL that is none", `"properties":{"url":"http://[::1","path":"%zz"},"context":{"page":{"url":"\u0000"}}`)
}

func oddIDs(add func(what, value, reason, lead string)) {
	for _, id := range []string{
		"a\x00b", "\n", "\u2028", "\u202e", "é", "e\u0301", "漢字", "😀", " ", "'; drop table leads; --", "../../etc/passwd", "a/b", "%2e%2e", "?", "#", "0", "-1",
		"null", "undefined", strings.Repeat("i", 1024), "\ufffd",
	} {
		text, err := json.Marshal(id)
		if err != nil {
			panic(err)
		}
		add("id", fmt.Sprintf(`{"type":"track","event":"Odd","userId":%s}`, text), "", id)
	}
	add("an id of a zero byte", `{"type":"track","event":"Odd","userId":"\u0000"}`, "bad_id", "")
	add("integer as id", `{"type":"track","userId":12345678901234567890123}`, "", "12345678901234567890123")
	add("negative integer as id", `{"type":"track","userId":-7}`, "", "-7")
	add("negative zero as id", `{"type":"track","userId":-0,"event":"Zero"}`, "", "0")
	add("an id that is no UTF-8", "{\"type\":\"track\",\"userId\":\"x\xff\"}", "", "x\ufffd")
	add("half a surrogate pair as id", `{"type":"track","userId":"y\ud800"}`, "", "y\ufffd")
	add("capitals and snake case", `{"action":"TRACK","user_id":"snake","message_id":"s1"}`, "", "snake")
	add("an anonymous id", `{"type":"Page","userId":"","anonymousId":"odd-anonymous"}`, "", "odd-anonymous")
	add("an alias", `{"type":"alias","userId":"u","previousId":"odd-previous"}`, "", "odd-previous")
}
