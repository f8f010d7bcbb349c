// Package rules turns a rule file into a checked, compiled rule set and applies it to leads.
//
// Parse reads YAML and reports every mistake at once, each with its place. A Set is immutable and may
// be shared; an Evaluator belongs to one goroutine. Apply, Fire and Migrate change a lead in place and
// return what is to be said to the world. They are pure functions of their arguments: no clock, no
// randomness, no I/O, and no Go map decides an order.
//
// A condition is evaluated to a value and the millisecond until which it holds while nothing but time
// passes. The smallest of these is the lead's timer. So every crossing is found exactly and none by polling.
package rules
