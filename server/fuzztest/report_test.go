package fuzztest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
)

// counts is how often each operation got each status.
type counts map[string]map[int]int

func (c counts) add(operation string, status int) {
	if c[operation] == nil {
		c[operation] = make(map[int]int)
	}
	c[operation][status]++
}

func (c counts) merge(other counts) {
	for operation, statuses := range other {
		for status, n := range statuses {
			for range n {
				c.add(operation, status)
			}
		}
	}
}

// failure is an answer that is wrong, with what repeats it.
type failure struct {
	sequence, request    int
	operation, how       string
	difference           string
	curl, answer, before string
}

// report is what became of a run.
type report struct {
	requests int
	counts   counts
	failures []*failure
}

// table shows how often each operation got each status.
func (r *report) table() string {
	var statuses []int
	for _, of := range r.counts {
		for status := range of {
			if !slices.Contains(statuses, status) {
				statuses = append(statuses, status)
			}
		}
	}
	slices.Sort(statuses)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "\t")
	for _, status := range statuses {
		_, _ = fmt.Fprintf(w, "%d\t", status)
	}
	for _, operation := range slices.Sorted(maps.Keys(r.counts)) {
		_, _ = fmt.Fprintf(w, "\n%s\t", operation)
		for _, status := range statuses {
			if n := r.counts[operation][status]; n > 0 {
				_, _ = fmt.Fprint(w, n)
			}
			_, _ = fmt.Fprint(w, "\t")
		}
	}
	_, _ = fmt.Fprintln(w)
	_ = w.Flush()
	return b.String()
}

// unreached names the documented answers that no request got. What only a broken or an overloaded server says is not among them.
func (r *report) unreached(operations []*operation) []string {
	var missing []string
	for _, op := range operations {
		for _, status := range op.documented {
			if status < http.StatusInternalServerError && status != http.StatusTooManyRequests && r.counts[op.id][status] == 0 {
				missing = append(missing, fmt.Sprintf("%s: %d", op.id, status))
			}
		}
	}
	return missing
}
