package report

import (
	"encoding/json"
	"io"
	"time"

	"axprocess"
)

// This file prints a tree as one JSON object. Its fields are stable: new ones may
// come, none goes or changes its meaning. docs/json.md describes them.

type treeJSON struct {
	At        *time.Time    `json:"at"`
	Host      string        `json:"host"`
	Processes []processJSON `json:"processes"`
	Sessions  []sessionJSON `json:"sessions"`
	Left      []Omission    `json:"left_out"`
}

type processJSON struct {
	PID        axprocess.PID `json:"pid"`
	PPID       axprocess.PID `json:"ppid"`
	PGID       axprocess.PID `json:"pgid"`
	SID        axprocess.PID `json:"sid"`
	Start      *time.Time    `json:"start"`
	State      string        `json:"state"`
	Comm       string        `json:"comm"`
	Args       []string      `json:"args"`
	UID        *int          `json:"uid"`
	User       string        `json:"user,omitempty"`
	TTY        string        `json:"tty,omitempty"`
	Foreground bool          `json:"foreground,omitempty"`
	Kernel     bool          `json:"kernel,omitempty"`
	Zombie     *zombieJSON   `json:"zombie,omitempty"`
	Threads    []threadJSON  `json:"threads"`
}

type zombieJSON struct {
	Parent  axprocess.PID `json:"parent"`
	Exit    *int32        `json:"exit,omitempty"`
	Signal  string        `json:"signal,omitempty"`
	Core    bool          `json:"core,omitempty"`
	AtLeast float64       `json:"dead_at_least_s"`
	AtMost  *float64      `json:"dead_at_most_s"`
}

type threadJSON struct {
	TID   axprocess.PID `json:"tid"`
	State string        `json:"state"`
	Comm  string        `json:"comm"`
}

type sessionJSON struct {
	SID        axprocess.PID `json:"sid"`
	LeaderGone bool          `json:"leader_gone"`
	TTY        string        `json:"tty,omitempty"`
	Foreground axprocess.PID `json:"foreground,omitempty"`
	Groups     []groupJSON   `json:"groups"`
}

type groupJSON struct {
	PGID     axprocess.PID `json:"pgid"`
	Orphaned bool          `json:"orphaned"`
	Stopped  bool          `json:"stopped"`
}

// JSON prints the tree as one object on one line. Sessions and groups without a
// process that is shown are left out.
func (t *Tree) JSON(w io.Writer) error {
	out := treeJSON{At: moment(t.At), Host: t.Host, Processes: []processJSON{}, Sessions: []sessionJSON{}, Left: t.Left}
	if out.Left == nil {
		out.Left = []Omission{}
	}
	foreground := map[axprocess.PID]axprocess.PID{}
	for _, s := range t.Sessions {
		if s.TTY != "" {
			foreground[s.SID] = s.Foreground
		}
		if j := s.json(); len(j.Groups) > 0 {
			out.Sessions = append(out.Sessions, j)
		}
	}
	for _, n := range t.Nodes() {
		j := n.json()
		j.Foreground = n.TTY != "" && n.PGID != 0 && foreground[n.SID] == n.PGID
		out.Processes = append(out.Processes, j)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

func (s *SessionNode) json() sessionJSON {
	j := sessionJSON{SID: s.SID, LeaderGone: s.LeaderGone, TTY: s.TTY, Foreground: s.Foreground}
	for _, g := range s.Groups {
		for _, n := range g.Members {
			if n.show == shown {
				j.Groups = append(j.Groups, groupJSON{g.PGID, g.Orphaned, g.isJobStopped()})
				break
			}
		}
	}
	return j
}

func (n *Node) json() processJSON {
	j := processJSON{
		PID: n.PID, PPID: n.PPID, PGID: n.PGID, SID: n.SID, Start: moment(n.Start), State: n.State, Comm: n.Comm,
		Args: n.Args, User: n.User, TTY: n.TTY, Kernel: n.Kernel, Threads: []threadJSON{},
	}
	if j.Args == nil {
		j.Args = []string{}
	}
	if n.UID >= 0 {
		j.UID = &n.UID
	}
	for _, h := range n.Threads {
		j.Threads = append(j.Threads, threadJSON{h.TID, h.State, h.Comm})
	}
	if n.State != "zombie" {
		return j
	}
	j.Zombie = &zombieJSON{Parent: n.PPID, AtLeast: n.DeadAtLeast.Seconds()}
	if n.DeadAtMost > 0 {
		most := n.DeadAtMost.Seconds()
		j.Zombie.AtMost = &most
	}
	if n.Cause == axprocess.Killed || n.Cause == axprocess.Dumped {
		j.Zombie.Signal, j.Zombie.Core = axprocess.Signal(n.Code).String(), n.Cause == axprocess.Dumped
	} else {
		j.Zombie.Exit = &n.Code
	}
	return j
}

// moment returns nil for a time that isn't known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Round(10 * time.Millisecond)
	return &t
}
