package lead

import (
	"fmt"
	"math"
)

func (d *decoder) fail(field, what string) {
	if d.err == nil {
		d.err = fmt.Errorf("decoding lead: %w: %s %s, at byte %d of %d", ErrMalformed, field, what, d.i, len(d.b))
	}
}

func (d *decoder) peek() byte {
	if d.err != nil || d.i >= len(d.b) {
		return 0
	}
	return d.b[d.i]
}

func (d *decoder) byte(field string) byte {
	if d.err != nil {
		return 0
	}
	if d.i >= len(d.b) {
		d.fail(field, "is cut off")
		return 0
	}
	d.i++
	return d.b[d.i-1]
}

func (d *decoder) take(field string, n uint64) []byte {
	if d.err != nil {
		return nil
	}
	if n > uint64(len(d.b)-d.i) {
		d.fail(field, "is cut off")
		return nil
	}
	d.i += int(n)
	return d.b[d.i-int(n) : d.i]
}

// wide reads a big-endian number of n bytes that is at least least: smaller ones have a shorter form.
func (d *decoder) wide(field string, n int, least uint64) uint64 {
	var v uint64
	for _, c := range d.take(field, uint64(n)) {
		v = v<<8 | uint64(c)
	}
	if v < least {
		d.fail(field, "is not in its shortest form")
	}
	return v
}

func (d *decoder) uint(field string) uint64 {
	code := d.byte(field)
	if code <= posFixMax {
		return uint64(code)
	}
	return d.uintAfter(field, code)
}

func (d *decoder) uintAfter(field string, code byte) uint64 {
	switch code {
	case codeUint8:
		return d.wide(field, 1, posFixMax+1)
	case codeUint16:
		return d.wide(field, 2, math.MaxUint8+1)
	case codeUint32:
		return d.wide(field, 4, math.MaxUint16+1)
	case codeUint64:
		return d.wide(field, 8, math.MaxUint32+1)
	}
	d.fail(field, "is no such number")
	return 0
}

func (d *decoder) uintTo(field string, limit uint64) uint64 {
	v := d.uint(field)
	if v > limit {
		d.fail(field, "is too large")
		return 0
	}
	return v
}

func (d *decoder) uint16(field string) uint16 { return uint16(d.uintTo(field, math.MaxUint16)) }

func (d *decoder) int(field string) int64 {
	return d.intAfter(field, d.byte(field))
}

func (d *decoder) intAfter(field string, code byte) int64 {
	var v, limit int64
	switch {
	case code >= codeNegFix:
		return int64(int8(code))
	case code <= posFixMax:
		return int64(code)
	case code == codeInt8:
		v, limit = int64(int8(d.wide(field, 1, 0))), negFixMin
	case code == codeInt16:
		v, limit = int64(int16(d.wide(field, 2, 0))), math.MinInt8
	case code == codeInt32:
		v, limit = int64(int32(d.wide(field, 4, 0))), math.MinInt16
	case code == codeInt64:
		v, limit = int64(d.wide(field, 8, 0)), math.MinInt32
	default:
		u := d.uintAfter(field, code)
		if u > math.MaxInt64 {
			d.fail(field, "is too large")
			return 0
		}
		return int64(u)
	}
	if v >= limit {
		d.fail(field, "is not in its shortest form")
		return 0
	}
	return v
}

func (d *decoder) time(field string) int64 {
	code := d.byte(field)
	if code == codeNil {
		return 0
	}
	t := d.intAfter(field, code) + d.clock
	if t == 0 {
		d.fail(field, "is not in its shortest form")
	}
	return t
}

func (d *decoder) float(field string) float64 {
	code := d.byte(field)
	if code != codeFloat64 {
		n := d.intAfter(field, code)
		if _, ok := whole(float64(n)); !ok {
			d.fail(field, "is no such number")
		}
		return float64(n)
	}
	v := math.Float64frombits(d.wide(field, 8, 0))
	if _, ok := whole(v); ok {
		d.fail(field, "is not in its shortest form")
	}
	return v
}

func (d *decoder) bool(field string) bool {
	switch d.byte(field) {
	case codeTrue:
		return true
	case codeFalse:
	default:
		d.fail(field, "is neither true nor false")
	}
	return false
}

// raw returns the bytes of a string; they are the input's.
func (d *decoder) raw(field string) []byte {
	code := d.byte(field)
	switch {
	case code >= codeFixStr && code <= codeFixStr+fixStrMax:
		return d.take(field, uint64(code-codeFixStr))
	case code == codeStr8:
		return d.take(field, d.wide(field, 1, fixStrMax+1))
	case code == codeStr16:
		return d.take(field, d.wide(field, 2, math.MaxUint8+1))
	case code == codeStr32:
		return d.take(field, d.wide(field, 4, math.MaxUint16+1))
	}
	d.fail(field, "is no string")
	return nil
}

// str returns a string, old itself if it is the same.
func (d *decoder) str(field, old string) string {
	b := d.raw(field)
	if string(b) == old {
		return old
	}
	return string(b)
}

// array returns how many structs of so many fields the array that begins here holds. Each field takes
// a byte at least, so the number is bounded by the input's length.
func (d *decoder) array(field string, fields int) int {
	code := d.byte(field)
	var n uint64
	switch {
	case code >= codeFixArray && code <= codeFixArray+fixArrayMax:
		n = uint64(code - codeFixArray)
	case code == codeArray16:
		n = d.wide(field, 2, fixArrayMax+1)
	case code == codeArray32:
		n = d.wide(field, 4, math.MaxUint16+1)
	default:
		d.fail(field, "is no array")
	}
	switch {
	case d.err != nil:
		return 0
	case n > uint64(len(d.b)-d.i):
		d.fail(field, "is cut off")
	case n%uint64(fields) != 0:
		d.fail(field, "has a part of a struct")
	}
	if d.err != nil {
		return 0
	}
	return int(n) / fields
}
