package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"axprocess"
)

// This file writes the life of a run's processes as one page that needs nothing
// else: no network, no other file. What it does is in timeline.js.

//go:embed timeline.html
var timelinePage string

//go:embed timeline.js
var timelineScript string

// lifeJSON is what the page's script reads; times are in microseconds.
type lifeJSON struct {
	Command   string            `json:"command"`
	Outcome   string            `json:"outcome"`
	Length    int64             `json:"length"`
	Lost      int               `json:"lost"`
	Processes []lifeProcessJSON `json:"processes"` // a starter before what it started
}

type lifeProcessJSON struct {
	PID           axprocess.PID    `json:"pid"`
	PPID          axprocess.PID    `json:"ppid"`
	PGID          axprocess.PID    `json:"pgid"`
	SID           axprocess.PID    `json:"sid"`
	Comm          string           `json:"comm"`
	Args          []string         `json:"args,omitempty"`
	Depth         int              `json:"depth"`
	Up            int              `json:"up"` // the starter's index, or -1
	Below         int              `json:"below"`
	Start         int64            `json:"start"`
	Ended         bool             `json:"ended,omitempty"`
	End           int64            `json:"end,omitempty"`
	Exit          int32            `json:"exit"`
	Signal        string           `json:"signal,omitempty"`
	Core          bool             `json:"core,omitempty"`
	Reaped        bool             `json:"reaped,omitempty"`
	ReapedAt      int64            `json:"reaped_at,omitempty"`
	ReapedByIndex int              `json:"reaped_by_index"`
	Left          bool             `json:"left,omitempty"`
	Execs         []lifeExecJSON   `json:"execs,omitempty"`
	Threads       []lifeThreadJSON `json:"threads,omitempty"`
}

type lifeExecJSON struct {
	At   int64    `json:"at"`
	Args []string `json:"args"`
}

type lifeThreadJSON struct {
	TID   axprocess.PID `json:"tid"`
	Comm  string        `json:"comm,omitempty"`
	Start int64         `json:"start"`
	End   int64         `json:"end,omitempty"`
}

// Timeline writes l as one HTML page: the tree of who started whom, each
// process's life as a bar on a time axis, with search, zoom and details. It
// refuses a life that fails Check. Usable with 20,000 processes and more.
func Timeline(w io.Writer, l *Life) error {
	if err := l.Check(); err != nil {
		return err
	}
	data, err := json.Marshal(l.page()) // escapes what could end the script element
	if err != nil {
		return err
	}
	title := strings.Join(l.Command, " ")
	_, err = strings.NewReplacer(
		"{{.Title}}", html.EscapeString(cmp.Or(title, "process life")),
		"{{.Data}}", string(data),
		"{{.Script}}", timelineScript,
	).WriteString(w, timelinePage)
	return err
}

// page puts the processes in the order of the tree.
func (l *Life) page() lifeJSON {
	order, depth := l.inOrder()
	index := make(map[uint64]int, len(order))
	for i, p := range order {
		index[p.ID] = i
	}
	find := func(id uint64) int {
		if i, is := index[id]; is {
			return i
		}
		return -1
	}
	page := lifeJSON{Command: strings.Join(l.Command, " "), Outcome: l.Outcome, Length: l.Length().Microseconds(), Lost: l.Lost,
		Processes: make([]lifeProcessJSON, len(order))}
	for i, p := range order {
		page.Processes[i] = p.json()
		page.Processes[i].Depth, page.Processes[i].Up, page.Processes[i].ReapedByIndex = depth[i], find(p.StartedBy), find(p.ReapedBy)
	}
	for i := len(order) - 1; i >= 0; i-- {
		if up := page.Processes[i].Up; up >= 0 {
			page.Processes[up].Below += 1 + page.Processes[i].Below
		}
	}
	return page
}

// inOrder returns the processes with each followed by what it started, the oldest
// first, and how deep each is.
func (l *Life) inOrder() (order []*LifeProcess, depth []int) {
	kids := map[uint64][]*LifeProcess{} // of 0: the roots
	for i := range l.Processes {
		p := &l.Processes[i]
		kids[p.StartedBy] = append(kids[p.StartedBy], p)
	}
	for _, k := range kids {
		slices.SortFunc(k, func(a, b *LifeProcess) int { // the oldest last, for the stack
			return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(b.ID, a.ID))
		})
	}
	type place struct {
		p     *LifeProcess
		depth int
	}
	var stack []place
	push := func(id uint64, depth int) {
		for _, p := range kids[id] {
			stack = append(stack, place{p, depth})
		}
	}
	for push(0, 0); len(stack) > 0; {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		order, depth = append(order, top.p), append(depth, top.depth)
		push(top.p.ID, top.depth+1)
	}
	return order, depth
}

func (p *LifeProcess) json() lifeProcessJSON {
	j := lifeProcessJSON{
		PID: p.PID, PPID: p.PPID, PGID: p.PGID, SID: p.SID, Comm: p.Comm, Args: p.Args, Start: p.Start.Microseconds(),
		Ended: p.Ended, End: p.End.Microseconds(), Exit: p.Exit, Core: p.Core, Reaped: p.Reaped, ReapedAt: p.ReapedAt.Microseconds(), Left: p.Left,
	}
	if p.Signal != 0 {
		j.Signal = p.Signal.String()
	}
	for _, e := range p.Execs {
		j.Execs = append(j.Execs, lifeExecJSON{e.At.Microseconds(), e.Args})
	}
	for _, h := range p.Threads {
		j.Threads = append(j.Threads, lifeThreadJSON{h.TID, h.Comm, h.Start.Microseconds(), h.End.Microseconds()})
	}
	return j
}

// chromeEvent is an event of the Trace Event Format, which Perfetto and
// chrome://tracing read.
type chromeEvent struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"`
	At    float64        `json:"ts"`
	Long  float64        `json:"dur,omitempty"`
	PID   uint64         `json:"pid"`
	TID   uint64         `json:"tid"`
	Args  map[string]any `json:"args,omitempty"`
}

// ChromeTrace writes l in the Trace Event Format, for Perfetto. A process goes by
// its unique id there, since numbers are reused; its number is in its name.
func ChromeTrace(w io.Writer, l *Life) error {
	if err := l.Check(); err != nil {
		return err
	}
	end := l.Length()
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	order, _ := l.inOrder()
	events := make([]chromeEvent, 0, 2*len(order))
	for i, p := range order {
		name := p.Comm
		if len(p.Args) > 0 {
			name = strings.Join(p.Args, " ")
		}
		until := end
		if p.Ended {
			until = p.End
		}
		j := p.json()
		facts := map[string]any{"pid": p.PID, "ppid": p.PPID, "started_by": p.StartedBy}
		switch {
		case p.Ended && p.Signal != 0:
			facts["signal"] = j.Signal
		case p.Ended:
			facts["exit"] = p.Exit
		}
		if p.Left {
			facts["left"] = true
		}
		add := func(name string, tid uint64, from, to time.Duration, args map[string]any) {
			events = append(events, chromeEvent{name, "X", us(from), us(to - from), p.ID, tid, args})
		}
		meta := func(what string, args map[string]any) {
			events = append(events, chromeEvent{Name: what, Phase: "M", PID: p.ID, TID: uint64(p.PID), Args: args})
		}
		meta("process_name", map[string]any{"name": p.Comm + " " + strconv.Itoa(int(p.PID))})
		meta("process_sort_index", map[string]any{"sort_index": i})
		add(name, uint64(p.PID), p.Start, until, facts)
		if p.Ended {
			gone := end
			if p.Reaped {
				gone = p.ReapedAt
			}
			if gone > p.End {
				add("zombie", uint64(p.PID), p.End, gone, nil)
			}
		}
		for _, h := range p.Threads {
			threadEnd := h.End
			if threadEnd == 0 {
				threadEnd = until
			}
			add(cmp.Or(h.Comm, "thread"), uint64(h.TID), h.Start, threadEnd, nil)
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ms"})
}
