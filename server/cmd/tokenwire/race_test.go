//go:build race

package main

// raceDetector says that the race detector is watching: it takes several times the memory.
const raceDetector = true
