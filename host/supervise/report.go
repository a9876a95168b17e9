package supervise

import (
	"encoding/json"
	"io"
	"time"

	"axprocess"
)

// This file is about the report of a run, as values and as JSON (docs/json.md).

// Report says what ran below a command, and how it ended.
type Report struct {
	Command    []string
	Follow     Follow
	Start, End time.Time
	Cause      axprocess.WaitCause // the command's own end
	Code       int32
	Complete   bool // no descendant can be missing
	Lost       int  // events known to be missing; < 0: it can't be known
	Partial    bool // the command was ended by Stop
	Processes  []Process
}

func (c *Cmd) report(partial bool) *Report {
	all := c.keeper.copies(nil)
	r := &Report{Command: c.Args, Follow: c.Following(), Start: c.began, End: c.keeper.now(), Cause: all[0].Cause, Code: all[0].Code,
		Complete: c.follow.complete(), Lost: c.follow.lost(), Partial: partial, Processes: all}
	if c.NoArgs {
		r.Command = c.Args[:1]
	}
	for i := range all {
		r.Complete = r.Complete && all[i].Unseen == ""
	}
	return r
}

// Leaks returns what was alive when the command had ended and was not meant to
// stay.
func (r *Report) Leaks() []Process {
	return r.all(func(p *Process) bool { return p.Left && !p.Kept })
}

// Process returns the process of an ID; nil if there is none.
func (r *Report) Process(id uint64) *Process {
	if id == 0 || id > uint64(len(r.Processes)) {
		return nil
	}
	return &r.Processes[id-1]
}

// Neglected returns those whose parent ended without waiting for them, or still
// hasn't waited.
func (r *Report) Neglected() []Process {
	return r.all(func(p *Process) bool { return p.Neglected })
}

func (r *Report) all(want func(*Process) bool) []Process {
	var some []Process
	for i := range r.Processes {
		if want(&r.Processes[i]) {
			some = append(some, r.Processes[i])
		}
	}
	return some
}

type reportJSON struct {
	Command   []text        `json:"command"`
	Follow    string        `json:"follow"`
	Start     time.Time     `json:"start"`
	Exit      *int32        `json:"exit"`
	Signal    string        `json:"signal,omitempty"`
	Duration  float64       `json:"duration_s"`
	Complete  bool          `json:"complete"`
	Partial   bool          `json:"partial"`
	Lost      *int          `json:"lost"`
	Processes []processJSON `json:"processes"`
	Leaks     []uint64      `json:"leaks"`
	Neglected []uint64      `json:"neglected"`
}

type processJSON struct {
	PID        axprocess.PID     `json:"pid"`
	ID         uint64            `json:"id"`
	PPID       axprocess.PID     `json:"ppid"`
	StartedBy  *uint64           `json:"started_by"`
	PGID       axprocess.PID     `json:"pgid"`
	SID        axprocess.PID     `json:"sid"`
	Comm       text              `json:"comm"`
	Args       []text            `json:"args"`
	Start      time.Time         `json:"start"`
	End        *time.Time        `json:"end"`
	Exit       *int32            `json:"exit"`
	Signal     string            `json:"signal,omitempty"`
	Core       bool              `json:"core,omitempty"`
	ReapedBy   *axprocess.PID    `json:"reaped_by"`
	ReapedAt   *time.Time        `json:"reaped_at"`
	Left       bool              `json:"left"`
	Kept       bool              `json:"kept,omitempty"`
	Neglected  bool              `json:"neglected,omitempty"`
	Unkillable string            `json:"unkillable,omitempty"`
	Unseen     string            `json:"unseen,omitempty"`
	Inferred   []string          `json:"inferred"`
	Reparented []reparentingJSON `json:"reparented,omitempty"`
	Execs      []execJSON        `json:"execs"`
	Threads    []threadJSON      `json:"threads,omitempty"`
}

type reparentingJSON struct {
	At   time.Time     `json:"at"`
	From axprocess.PID `json:"from"`
	To   axprocess.PID `json:"to"`
	Why  string        `json:"why"`
}

type execJSON struct {
	At   time.Time `json:"at"`
	Args []text    `json:"args"`
}

type threadJSON struct {
	TID   axprocess.PID `json:"tid"`
	Start time.Time     `json:"start"`
	End   *time.Time    `json:"end"`
}

// text is a string of any bytes: what is no UTF-8 is written with surrogate
// escapes, \udc80 to \udcff for the bytes 0x80 to 0xff (Python's PEP 383), so
// that nothing is lost.
type text string

// MarshalJSON is json.Marshaler.
func (s text) MarshalJSON() ([]byte, error) { return appendText(nil, string(s)), nil }

func texts(all []string) []text {
	out := make([]text, len(all))
	for i, s := range all {
		out[i] = text(s)
	}
	return out
}

// WriteJSON writes the report as one object on one line.
func (r *Report) WriteJSON(w io.Writer) error {
	out := reportJSON{Command: texts(r.Command), Follow: r.Follow.String(), Start: r.Start, Duration: r.End.Sub(r.Start).Seconds(),
		Complete: r.Complete, Partial: r.Partial, Processes: []processJSON{}, Leaks: []uint64{}, Neglected: []uint64{}}
	out.Exit, out.Signal, _ = ending3(r.Cause, r.Code)
	if r.Lost >= 0 {
		out.Lost = &r.Lost
	}
	for i := range r.Processes {
		p := &r.Processes[i]
		out.Processes = append(out.Processes, p.json())
		if p.Left && !p.Kept {
			out.Leaks = append(out.Leaks, p.ID)
		}
		if p.Neglected {
			out.Neglected = append(out.Neglected, p.ID)
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// ending3 is an end as JSON has it.
func ending3(cause axprocess.WaitCause, code int32) (exit *int32, signal string, core bool) {
	switch cause {
	case axprocess.Exited:
		return &code, "", false
	case axprocess.Killed, axprocess.Dumped:
		return nil, axprocess.Signal(code).String(), cause == axprocess.Dumped
	}
	return nil, "", false
}

func (p *Process) json() processJSON {
	j := processJSON{PID: p.PID, ID: p.ID, PPID: p.PPID, PGID: p.PGID, SID: p.SID, Comm: text(p.Comm), Args: texts(p.Args),
		Start: p.Start, End: moment(p.End), ReapedAt: moment(p.Reaped), Left: p.Left, Kept: p.Kept, Neglected: p.Neglected,
		Unkillable: p.Unkillable, Unseen: p.Unseen, Inferred: []string{}, Execs: []execJSON{}}
	j.Exit, j.Signal, j.Core = ending3(p.Cause, p.Code)
	if p.StartedBy != 0 {
		j.StartedBy = &p.StartedBy
	}
	if p.ReapedBy != 0 {
		j.ReapedBy = &p.ReapedBy
	}
	for _, inferred := range []struct {
		is   bool
		what string
	}{{p.Guessed, "started_by"}, {p.ReapInferred && p.ReapedBy != 0, "reaped_by"}, {p.GroupInferred, "pgid"}, {p.GroupInferred, "sid"}} {
		if inferred.is {
			j.Inferred = append(j.Inferred, inferred.what)
		}
	}
	for _, r := range p.Reparented {
		j.Reparented = append(j.Reparented, reparentingJSON(r))
	}
	for _, x := range p.Execs {
		j.Execs = append(j.Execs, execJSON{x.At, texts(x.Args)})
	}
	for _, h := range p.Threads {
		j.Threads = append(j.Threads, threadJSON{h.TID, h.Start, moment(h.End)})
	}
	return j
}

// moment returns nil for a time that isn't known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
