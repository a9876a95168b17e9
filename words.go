package axprocess

// This file is about the words that stand for values in what is saved: those
// that String gives, and no others.

var (
	stateNames  = [...]string{"", "running", "exiting", "zombie", "freed"}
	causeNames  = [...]string{"", "exited", "killed", "dumped", "stopped", "continued"}
	actionNames = [...]string{"", "dropped", "pending", "ended", "stopped", "continued", "merged", "accepted", "overflowed"}
)

// MarshalText returns the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a state's name; any other text is an error.
func (s *State) UnmarshalText(text []byte) error { return named(s, "state", stateNames[:], text) }

// MarshalText returns the cause's name.
func (c WaitCause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText takes a cause's name; any other text is an error.
func (c *WaitCause) UnmarshalText(text []byte) error { return named(c, "cause", causeNames[:], text) }

// MarshalText returns the action's name.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText takes an action's name; any other text is an error.
func (a *Action) UnmarshalText(text []byte) error { return named(a, "action", actionNames[:], text) }
