package guard

import (
	"cmp"
	"fmt"
	"strings"
)

const (
	// unnamed is a segment that is the text of no rule, and anyMethod a method that no rule names: they cannot be written in a file.
	unnamed   = "\x00"
	anyMethod = "any"
)

// checkOrder refuses a rule that is never reached, or never with one of the methods that it names: it was meant to say something. A
// rule about all methods is reached when there is one left for it.
func (r *Rules) checkOrder(from []fileRule) error {
	lengths := map[int]bool{}
	for i := range r.rules {
		if p := r.rules[i].pattern; !p.rest {
			lengths[len(p.segments)] = true
		}
	}
	for i := range r.rules {
		paths := r.rules[i].pattern.examples(lengths)
		methods, with := r.rules[i].methods, " with "
		if len(methods) == 0 {
			methods, with = []string{anyMethod}, ""
		}
		for _, method := range methods {
			first := r.before(i, method, paths)
			if first == i {
				continue
			}
			if with != "" {
				with += method
			}
			return fmt.Errorf("rule %d, %q, is never reached%s: rule %d, %q, comes first and decides about the same; put the more particular one first",
				i+1, from[i].Path, with, first+1, from[first].Path)
		}
	}
	return nil
}

// before returns a rule that decides in the place of rule i about all these paths, or i.
func (r *Rules) before(i int, method string, paths []string) int {
	first := i
	for _, path := range paths {
		if first, _, _ = r.decide(method, path); first == i {
			break
		}
	}
	return first
}

// examples returns paths that match p. If rules before it take all of them, they take all that match: whatever they say about a
// segment that no rule names, they say about one that some rule names, and perhaps more. So it is with a length that no rule
// without ** has, and the greater ones; lengths has those that some have.
func (p pattern) examples(lengths map[int]bool) []string {
	var path strings.Builder
	for _, s := range p.segments {
		path.WriteString("/" + cmp.Or(s.text, unnamed))
	}
	paths := []string{path.String()}
	for length := len(p.segments); p.rest && (length == len(p.segments) || lengths[length]); length++ {
		path.WriteString("/" + unnamed)
		paths = append(paths, path.String())
	}
	return paths
}
