package rules

import (
	"math"
	"slices"

	"leadstream/state/lead"
)

// limit bounds what one score line may add for one lead (and one value of its `by` expression).
type limit struct {
	// Times is how many contributions count within Per, 0 for any number, at most maxTimes.
	Times int
	// Points is how much they may add within Per, counted without sign; 0 for any amount.
	Points float64
	// Per is the span in ms that Times and Points are about.
	Per int64
	// Once lets one contribution through, ever.
	Once bool
}

// kept is how many counted contributions are remembered.
func (l *limit) kept() int {
	if l.Times > 0 {
		return l.Times
	}
	return maxPointsKept
}

// admit decides on a contribution of points at time s: whether it counts, and with how many points. What
// counts is noted in x. It allocates only while x's slices grow.
//
// A contribution counts if fewer than Times of those noted lie within (s - Per, s + Per), and is cut to
// what those leave of Points. The newest Times are noted (maxPointsKept where only Points are
// limited); one older than all of a full list does not count. When a list of points is full, its oldest
// entry is joined to the next, so that such a limit errs only by being late to forget.
func (l *limit) admit(x *lead.Line, s int64, points float64) (counted float64, ok bool) {
	if l.Once {
		if len(x.Counted) > 0 {
			return 0, false
		}
		x.Fired = s
		x.Counted = append(x.Counted, s)
		return points, true
	}
	if l.Times <= 0 && (l.Points <= 0 || points == 0) {
		return points, true
	}
	full := len(x.Counted) >= l.kept()
	if full && s < x.Counted[0] {
		return 0, false
	}
	n, used := l.within(x, s)
	if l.Times > 0 && n >= l.Times {
		return 0, false
	}
	if l.Points > 0 {
		left := l.Points - used
		if left <= 0 {
			return 0, false
		}
		points = math.Copysign(min(math.Abs(points), left), points)
	}
	if full {
		l.dropOldest(x)
	}
	i, _ := slices.BinarySearchFunc(x.Counted, s, func(t, s int64) int {
		if t <= s {
			return -1
		}
		return 1
	})
	x.Counted = slices.Insert(x.Counted, i, s)
	if l.Points > 0 {
		x.Points = slices.Insert(x.Points, i, math.Abs(points))
	}
	return points, true
}

// within returns how many contributions are noted within (s - Per, s + Per), and their points.
func (l *limit) within(x *lead.Line, s int64) (n int, used float64) {
	for i, t := range x.Counted {
		if t > s-l.Per && t < s+l.Per {
			n++
			if i < len(x.Points) {
				used += x.Points[i]
			}
		}
	}
	return n, used
}

// dropOldest makes room for one more in a full list.
func (l *limit) dropOldest(x *lead.Line) {
	if len(x.Points) > 1 && l.Times <= 0 && x.Counted[1]-x.Counted[0] < l.Per {
		x.Points[1] += x.Points[0]
	}
	x.Counted = slices.Delete(x.Counted, 0, 1)
	if len(x.Points) > 0 {
		x.Points = slices.Delete(x.Points, 0, 1)
	}
}

// release gives back the place of a contribution that counted with points at time s and was retracted.
func (l *limit) release(x *lead.Line, s int64, points float64) {
	if l.Once && x.Fired == s {
		x.Fired = 0
	}
	i, found := slices.BinarySearch(x.Counted, s)
	if !found {
		return
	}
	if i < len(x.Points) {
		// Of several at one time, the one with these points; else they were joined to a newer one.
		for k := i; k < len(x.Counted) && x.Counted[k] == s; k++ {
			if x.Points[k] == math.Abs(points) {
				i = k
				break
			}
		}
		if x.Points[i] > math.Abs(points) {
			x.Points[i] -= math.Abs(points)
			return
		}
		x.Points = slices.Delete(x.Points, i, i+1)
	}
	x.Counted = slices.Delete(x.Counted, i, i+1)
}
