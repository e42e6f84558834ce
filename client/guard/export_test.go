package guard

import "time"

// SetClock lets a guard that is not used yet take the time from somebody else.
func (g *Guard) SetClock(now func() time.Time) { g.now = now }
