// Package micro holds benchmarks of single steps on the way of an event, and of the whole engine without
// a broker. They run on the events and the rule set of bench/e2e:
//
//	make bench-micro PKG=./bench/micro
//	go test ./bench/micro -run '^$' -bench Engine -cpuprofile cpu.out
package micro
