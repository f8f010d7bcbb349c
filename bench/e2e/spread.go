package main

import (
	"fmt"
	"slices"
)

// spread is the same figure of several runs.
type spread []float64

func spreadOf[T any](runs []T, of func(T) float64) spread {
	var s spread
	for _, d := range runs {
		s = append(s, of(d))
	}
	return s
}

// median of an even number of figures is the mean of the two in the middle.
func (s spread) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func (s spread) format(verb string) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) == 1 {
		return fmt.Sprintf(verb, s[0])
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.median(), slices.Min(s), slices.Max(s))
}

// ratios divides a figure of some runs by that of others, repetition by repetition. Repetitions that lack one of the two
// are left out; 0 is a run too short to tell.
func ratios[T any](ours, theirs []T, rep func(T) int, of func(T) float64) spread {
	var s spread
	for _, o := range ours {
		for _, t := range theirs {
			if rep(o) == rep(t) && of(o) > 0 && of(t) > 0 {
				s = append(s, of(o)/of(t))
			}
		}
	}
	return s
}
