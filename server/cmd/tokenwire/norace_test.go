//go:build !race

package main

// raceDetector says that the race detector is not watching.
const raceDetector = false
