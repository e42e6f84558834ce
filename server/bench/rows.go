package main

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// The targets for the ratios to others; those as the database grows are with its growth.
const (
	patchAtLeast          = 0.60 // of bare Echo
	authenticationAtLeast = 0.85
	verifyAtLeast         = 0.85
	refusedAtLeast        = 0.75
	rawAtLeast            = 5
	prismAtLeast          = 12
	pgAtLeast             = 0.8
)

// row is a kind of call, with everybody who answers it.
type row struct {
	what        string
	connections int
	contenders  []contender
	atLeast     map[string]float64 // the targets, by reference
}

// field is who takes part.
type field struct {
	plan                   plan
	db                     *database // of tokenwire
	tokenwire, bare, stock *server
	prism                  *server // nil when it is not here
	raw                    *rawSQLite
	// bareRate is what the bare handler has answered in a second; nothing is deleted faster.
	bareRate float64
}

// contenders puts together who takes part in a row of calls, by what each of them is sent. Writes are compared with raw SQLite too.
func (f *field) contenders(mine, bare, stock, prism *target, writes bool) []contender {
	all := []contender{
		{name: bareEcho, measure: bare.measure},
		{name: stockStack, measure: stock.measure},
		{name: ours, measure: mine.measure},
	}
	if writes {
		all = append(all, contender{name: rawUpdates, measure: f.raw.measure})
	}
	if f.prism != nil {
		all = append(all, contender{name: prismMock, measure: prism.measure})
	}
	return all
}

// prismAddress is "" when it is not here; nothing is sent there then.
func (f *field) prismAddress() string {
	if f.prism == nil {
		return ""
	}
	return f.prism.address
}

// patch is the row that most targets are about.
func (f *field) patch() row {
	c := newCalls(f.db)
	return row{
		what: "PATCH, a durable update", connections: rowConnections,
		contenders: f.contenders(c.update(f.tokenwire.address), c.update(f.bare.address), c.update(f.stock.address),
			c.update(f.prismAddress()), true),
		atLeast: map[string]float64{bareEcho: patchAtLeast, rawUpdates: rawAtLeast, prismMock: prismAtLeast},
	}
}

// patchOver is the same with another number of connections, beside the bare handler alone.
func (f *field) patchOver(connections int) row {
	c := newCalls(f.db)
	return row{
		what: "PATCH over " + plural(connections, "connection"), connections: connections,
		contenders: []contender{
			{name: bareEcho, measure: c.update(f.bare.address).measure},
			{name: ours, measure: c.update(f.tokenwire.address).measure},
		},
	}
}

// others are the rows besides PATCH. What makes the database grow or shrink comes last.
func (f *field) others() []row {
	c := newCalls(f.db)
	mine, bare, stock, prism := f.tokenwire.address, f.bare.address, f.stock.address, f.prismAddress()
	return []row{
		{
			what: "GET one", connections: rowConnections,
			contenders: f.contenders(c.get(mine), c.get(bare), c.get(stock), c.get(prism), false),
		},
		{
			what: "authentication alone (401)", connections: rowConnections,
			contenders: f.contenders(c.list(mine, http.StatusUnauthorized), c.list(bare, http.StatusOK),
				c.list(stock, http.StatusUnauthorized), c.list(prism, http.StatusOK), false),
			atLeast: map[string]float64{bareEcho: authenticationAtLeast},
		},
		{
			what: "verify (204)", connections: rowConnections,
			contenders: []contender{{name: bareEcho, measure: c.verify(bare).measure}, {name: ours, measure: c.verify(mine).measure}},
			atLeast:    map[string]float64{bareEcho: verifyAtLeast},
		},
		{
			// The bare handler has nothing to refuse by: it answers an update.
			what: "refused body (422)", connections: rowConnections,
			contenders: f.contenders(c.refused(mine, http.StatusUnprocessableEntity), c.update(bare),
				c.refused(stock, http.StatusBadRequest), c.refused(prism, http.StatusUnprocessableEntity), false),
			atLeast: map[string]float64{bareEcho: refusedAtLeast},
		},
		{
			what: "POST", connections: rowConnections,
			contenders: f.contenders(c.create(mine), c.create(bare), c.create(stock), c.create(prism), true),
		},
		{what: "DELETE", connections: rowConnections, contenders: f.deletions(c)},
	}
}

// deletions need tokens to delete, made before each turn and not timed.
func (f *field) deletions(c calls) []contender {
	left := &queue[uuid.UUID]{}
	all := f.contenders(c.remove(f.tokenwire.address, left), c.removeAny(f.bare.address), c.removeAny(f.stock.address),
		c.removeAny(f.prismAddress()), true)
	for i := range all {
		if all[i].name == ours {
			all[i].before = func(ctx context.Context, s slot) error {
				wanted := int(f.bareRate * (s.warmUp + s.measured).Seconds())
				ids, err := f.db.fill(ctx, max(0, wanted-left.size()), func(int) error { return nil })
				left.add(ids)
				return err
			}
		}
	}
	return all
}

// run measures a row and writes its line.
func (f *field) run(ctx context.Context, r row) (line, map[string][]result, error) {
	results, err := race(ctx, f.plan, r.what, r.connections, r.contenders)
	if err != nil {
		return line{}, nil, err
	}
	l := speed(r.what, results[ours])
	for _, reference := range references() {
		limit, isTarget := r.atLeast[reference]
		theirs, measured := results[reference]
		switch {
		case measured:
			ratio := ratiosOf(results[ours], theirs)
			l.ratios[reference] = ratio.String()
			if isTarget {
				l.targets = append(l.targets, reference+" "+atLeast(ratio, limit))
			}
		case reference == prismMock && len(r.contenders) > 2:
			l.ratios[reference] = notHere
		}
	}
	return l, results, nil
}

// runAll measures all rows. It returns their lines, and the ratio to bare Echo by the number of connections.
func (f *field) runAll(ctx context.Context) ([]line, []point, error) {
	first, results, err := f.run(ctx, f.patch())
	if err != nil {
		return nil, nil, err
	}
	f.bareRate = ratesOf(results[bareEcho]).greatest
	points := []point{{rowConnections, ratiosOf(results[ours], results[bareEcho])}}
	lines := []line{first}
	var byConnections, absolute []line
	for _, reference := range references() {
		if theirs, measured := results[reference]; measured {
			absolute = append(absolute, speed("PATCH, "+reference, theirs))
		}
	}
	for _, connections := range f.plan.connections {
		l, results, err := f.run(ctx, f.patchOver(connections))
		if err != nil {
			return nil, nil, err
		}
		byConnections = append(byConnections, l)
		points = append(points, point{float64(connections), ratiosOf(results[ours], results[bareEcho])})
	}
	for _, r := range f.others() {
		l, _, err := f.run(ctx, r)
		if err != nil {
			return nil, nil, err
		}
		lines = append(lines, l)
	}
	return append(append(lines, byConnections...), absolute...), points, nil
}
