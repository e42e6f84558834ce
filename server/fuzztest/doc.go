// Package fuzztest sends a server requests that are drawn from the contract: sequences of valid and broken ones, in which ids,
// secrets and links come from earlier answers. It has nothing but tests.
//
// A sequence (sequence_test.go) is some hundred requests in a project of its own. For each, an operation of openapi.yaml
// (operation_test.go) gets a valid request (draw_test.go, value_test.go, text_test.go, encode_test.go); some are then broken in
// one known way (break_test.go, breakbody_test.go), and some in several. What the answers give goes into the pool that the next
// requests are drawn from (pool_test.go). Each answer is held against the contract and against what is known of the request
// (check_test.go): no request gets a 5xx, a valid one succeeds, and one that is broken in a known way gets the status that the
// contract's order of checks gives it.
//
//	go test ./server/fuzztest                          # some thousand requests, always the same
//	make test-fuzz                                     # a million, others each time
//	FUZZ_REQUESTS=50000 go test -v ./server/fuzztest   # so many
//	FUZZ_SEED=7 FUZZ_SEQUENCE=12 go test -v ./server/fuzztest # one sequence again, as a failure names it
//
// Sequences differ in where they run: in a server as people run it or in a sandbox, over an SQLite file or in memory, by a call of its
// handler, over a loopback connection or over HTTP/2. A sequence depends on its seed and its number alone, so that it can be repeated.
package fuzztest
