package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// point is a ratio at a number of tokens or connections.
type point struct {
	x     float64
	ratio spread
}

const (
	plotWidth  = 9 * vg.Inch
	plotHeight = 4 * vg.Inch
)

// writePlot draws two panels in one SVG: the cost of tokens and that of connections.
func writePlot(to io.Writer, growth, connections []point) error {
	left, err := panel(growth, growthAtLeast, func(x float64) string { return count(int(x)) })
	if err != nil {
		return err
	}
	left.Title.Text = "Durable updates as the database grows"
	left.X.Label.Text = "tokens in the database"
	left.Y.Label.Text = "requests/s ÷ those with " + count(int(growth[0].x)) + " tokens"
	right, err := panel(connections, patchAtLeast, func(x float64) string { return fmt.Sprint(x) })
	if err != nil {
		return err
	}
	right.Title.Text = "Durable updates beside bare Echo"
	right.X.Label.Text = "connections"
	right.Y.Label.Text = "requests/s ÷ those of bare Echo"
	canvas := vgsvg.New(plotWidth, plotHeight)
	whole := draw.New(canvas)
	whole.FillPolygon(color.White, whole.ClipPolygonXY([]vg.Point{{X: 0, Y: 0}, {X: plotWidth, Y: 0}, {X: plotWidth, Y: plotHeight}, {X: 0, Y: plotHeight}}))
	plots := [][]*plot.Plot{{left, right}}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Points(24), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(8)}
	for i, area := range plot.Align(plots, tiles, whole)[0] {
		plots[0][i].Draw(area)
	}
	var drawing bytes.Buffer
	if _, err := canvas.WriteTo(&drawing); err != nil {
		return err
	}
	// The library names one font, and who does not have it would see another kind of letters.
	_, err = to.Write(bytes.ReplaceAll(drawing.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")))
	return err
}

// values gives the plotter the median and the distances to the least and the greatest.
type values []point

// Len is how many there are.
func (v values) Len() int { return len(v) }

// XY is the median.
func (v values) XY(i int) (float64, float64) { return v[i].x, v[i].ratio.median }

// YError is the spread.
func (v values) YError(i int) (float64, float64) {
	return v[i].ratio.median - v[i].ratio.least, v[i].ratio.greatest - v[i].ratio.median
}

// panel draws ratios over an axis that is logarithmic, with the target as a dashed line.
func panel(points []point, target float64, name func(float64) string) (*plot.Plot, error) {
	p := plot.New()
	setFonts(p)
	sorted := values(slices.SortedFunc(slices.Values(points), func(a, b point) int { return cmp.Compare(a.x, b.x) }))
	line, marks, err := plotter.NewLinePoints(sorted)
	if err != nil {
		return nil, err
	}
	spreads, err := plotter.NewYErrorBars(sorted)
	if err != nil {
		return nil, err
	}
	blue := color.RGBA{R: 0x1f, G: 0x5f, B: 0xbf, A: 0xff}
	line.Color, marks.Color, spreads.Color = blue, blue, blue
	marks.Shape = draw.CircleGlyph{}
	goal := plotter.NewFunction(func(float64) float64 { return target })
	goal.Color, goal.Dashes = color.Gray{Y: 0x70}, []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(plotter.NewGrid(), goal, line, spreads, marks)
	p.Legend.Add("median, least, greatest", line, marks)
	p.Legend.Add(fmt.Sprintf("target %.2f", target), goal)
	p.Legend.Padding, p.Legend.XOffs = vg.Points(2), vg.Points(6)
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = ticks(sorted, name)
	first, last := sorted[0].x, sorted[len(sorted)-1].x
	p.X.Min, p.X.Max = first/1.3, last*1.3
	p.Y.Min = 0
	p.Y.Max = max(p.Y.Max, target) * 1.3 // there is the legend
	return p, nil
}

// setFonts leaves room: who does not have the font sees one that may be wider.
func setFonts(p *plot.Plot) {
	p.Title.Padding = vg.Points(8)
	for style, size := range map[*font.Font]vg.Length{
		&p.Title.TextStyle.Font: 12, &p.X.Label.TextStyle.Font: 10, &p.Y.Label.TextStyle.Font: 10,
		&p.X.Tick.Label.Font: 9, &p.Y.Tick.Label.Font: 9, &p.Legend.TextStyle.Font: 9,
	} {
		style.Variant, style.Size = "Sans", size
	}
}

// ticks marks what was measured and nothing else.
func ticks(points []point, name func(float64) string) plot.ConstantTicks {
	var marks plot.ConstantTicks
	for _, p := range points {
		marks = append(marks, plot.Tick{Value: p.x, Label: name(p.x)})
	}
	return marks
}
