package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestPlotIsAnSVGWithLabelledAxes(t *testing.T) {
	t.Parallel()
	growth := []point{{10_000, spread{1, 1, 1}}, {100_000, spread{0.97, 0.9, 1.1}}, {1_000_000, spread{0.9, 0.8, 0.95}}}
	connections := []point{{64, spread{0.6, 0.55, 0.7}}, {1, spread{0.2, 0.1, 0.3}}, {8, spread{0.4, 0.3, 0.5}}, {256, spread{0.6, 0.5, 0.7}}}
	var drawing bytes.Buffer
	if err := writePlot(&drawing, growth, connections); err != nil {
		t.Fatal(err)
	}
	elements, texts := parseSVG(t, &drawing)
	if elements[0] != "svg" || !slices.Contains(elements, "path") {
		t.Errorf("the drawing begins with <%s> and has %d elements", elements[0], len(elements))
	}
	for _, want := range []string{
		"tokens in the database", "connections", "requests/s ÷ those with 10k tokens", "requests/s ÷ those of bare Echo",
		"10k", "100k", "1M", "1", "8", "64", "256", "target 0.85", "target 0.60",
	} {
		if !slices.Contains(texts, want) {
			t.Errorf("the drawing does not say %q but %q", want, texts)
		}
	}
	if connections[0].x != 64 {
		t.Error("the points were sorted in place")
	}
}

// parseSVG fails unless the document is well formed. It returns the names of its elements, and its texts.
func parseSVG(t *testing.T, document io.Reader) (elements, texts []string) { //nolint:nonamedreturns // two lists of the same type
	t.Helper()
	decoder := xml.NewDecoder(document)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return elements, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements = append(elements, token.Name.Local)
		case xml.CharData:
			texts = append(texts, strings.TrimSpace(string(token)))
		}
	}
}
