package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file is about the state that both sides are compared by: what /proc shows.

// States of a process, as /proc's letters would have them.
const (
	Runs         = "runs" // running, sleeping, held by a vfork child
	Stopped      = "stopped"
	Zombie       = "zombie"
	LeaderExited = "leader-exited"
	Busy         = "busy" // live only: it has yet to take a signal, or to sleep in its call
)

// Seen is what is seen of one process; names stand for numbers.
type Seen struct {
	Parent, Group, Session string
	State                  string
	Threads                string // the live ones, ascending by name
	Foreground             string // of its controlling terminal; "" if it has none
}

// String returns it as "parent=a group=b …".
func (s Seen) String() string {
	text := fmt.Sprintf("parent=%s group=%s session=%s state=%s threads=%s", s.Parent, s.Group, s.Session, s.State, s.Threads)
	if s.Foreground != "" {
		text += " foreground=" + s.Foreground
	}
	return text
}

// World is all processes by name.
type World map[string]Seen

// Differ says in which processes two worlds differ; "" if in none.
func (w World) Differ(live World) string {
	var b strings.Builder
	names := slices.Sorted(maps.Keys(w))
	for name := range live {
		if _, both := w[name]; !both {
			names = append(names, name)
		}
	}
	for _, name := range names {
		mine, here := w[name]
		theirs, there := live[name]
		if mine == theirs && here == there {
			continue
		}
		describe := func(s Seen, is bool) string {
			if !is {
				return "gone"
			}
			return s.String()
		}
		fmt.Fprintf(&b, "%s: in the table %s; live %s\n", name, describe(mine, here), describe(theirs, there))
	}
	return b.String()
}
