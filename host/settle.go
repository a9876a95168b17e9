package host

import (
	"cmp"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"axprocess"
)

// This file is about making one table of what was read at different moments.
//
// Invariants:
//   - the table is sound, whatever the source says;
//   - what the source showed and the table lacks is among the omissions;
//   - nobody is left out whom reading again can make agree with the rest.

// maxPID is above every number (kernel PID_MAX_LIMIT).
const maxPID = 1 << 22

// maxRounds is how often contradictions are read again. Those of a busy host are
// gone after one or two.
const maxRounds = 8

// reading is what has been read so far.
type reading struct {
	src     source
	found   map[axprocess.PID]found
	omitted map[axprocess.PID]string
}

// settle reads all processes and enters them into a new table.
func settle(src source) (*axprocess.Table, []Omission, error) {
	pids, err := src.pids()
	if err != nil {
		return nil, nil, err
	}
	r := &reading{src: src, found: make(map[axprocess.PID]found, len(pids)), omitted: map[axprocess.PID]string{}}
	r.read(pids)
	if len(r.found) == 0 {
		return nil, nil, errors.New("no process is to be read there")
	}
	table := axprocess.NewTable(axprocess.WithMaxPID(maxPID))
	for range maxRounds {
		c, err := r.enter(table)
		if err != nil {
			return nil, nil, err
		}
		if c == nil {
			return table, r.omissions(), nil
		}
		if !r.read(r.concerned(c)) {
			break // who says the same twice says it for good: a saved /proc, or one that hides some
		}
	}
	return r.force(table)
}

// enter tries to enter what was read: it returns what contradicts.
func (r *reading) enter(table *axprocess.Table) ([]axprocess.Contradiction, error) {
	records := make([]axprocess.ProcessRecord, 0, len(r.found))
	for _, f := range r.found {
		records = append(records, f.record)
	}
	slices.SortFunc(records, func(a, b axprocess.ProcessRecord) int {
		return cmp.Or(cmp.Compare(a.Data.(*Info).Started, b.Data.(*Info).Started), cmp.Compare(a.PID, b.PID))
	})
	giveTerminals(table, records)
	err := table.Import(first(records), records)
	var contradicts *axprocess.ImportError
	if errors.As(err, &contradicts) {
		return contradicts.Contradictions, nil
	}
	return nil, err
}

// giveTerminals gives each session the terminal that its leader has, or its
// oldest process where the leader can't be seen. Who was seen with another one
// has changed meanwhile, and gets none.
func giveTerminals(table *axprocess.Table, records []axprocess.ProcessRecord) {
	type seen struct {
		tty        TTY
		term       *axprocess.Terminal
		foreground axprocess.PID
	}
	sessions := map[axprocess.PID]seen{}
	taken := map[TTY]bool{}
	for _, leaders := range [...]bool{true, false} {
		for i := range records {
			rec := &records[i]
			info := rec.Data.(*Info)
			if _, is := sessions[rec.SID]; is || (rec.PID == rec.SID) != leaders || rec.SID == 0 || info.TTY == 0 || taken[info.TTY] {
				continue
			}
			taken[info.TTY] = true
			sessions[rec.SID] = seen{info.TTY, table.NewTerminal(info.TTY), max(0, info.Foreground)}
		}
	}
	for i := range records {
		rec := &records[i]
		rec.Terminal, rec.Foreground = nil, 0
		if s, is := sessions[rec.SID]; is && s.tty == rec.Data.(*Info).TTY {
			rec.Terminal, rec.Foreground = s.term, s.foreground
		}
	}
}

// first chooses the init: process 1, or where that can't be seen the lowest one
// whose parent is outside; 0 if there is none.
func first(records []axprocess.ProcessRecord) axprocess.PID {
	var init axprocess.PID
	for i := range records {
		if rec := &records[i]; rec.PPID == 0 && !rec.Zombie && (init == 0 || rec.PID < init) {
			init = rec.PID
		}
	}
	return init
}

// concerned returns whom to read again: those who contradict, their parents, all
// who share a group or a session with them, and all whose threads go by a number
// of theirs.
func (r *reading) concerned(contradictions []axprocess.Contradiction) []axprocess.PID {
	numbers := map[axprocess.PID]bool{}
	tids := map[axprocess.PID]bool{}
	again := map[axprocess.PID]bool{}
	for _, c := range contradictions {
		numbers[c.PID], tids[c.PID], again[c.PID] = true, true, true
		if f, is := r.found[c.PID]; is {
			again[f.record.PPID] = true
			numbers[f.record.PGID], numbers[f.record.SID] = true, true
			for _, h := range f.record.Threads {
				tids[h.TID] = true
			}
		}
	}
	delete(numbers, 0)
	delete(again, 0)
	for pid, f := range r.found {
		if numbers[f.record.PGID] || numbers[f.record.SID] ||
			slices.ContainsFunc(f.record.Threads, func(h axprocess.ThreadRecord) bool { return tids[h.TID] || numbers[h.TID] }) {
			again[pid] = true
		}
	}
	return slices.Collect(maps.Keys(again))
}

// read reads processes, or reads them again, on as many goroutines as there are
// processors. It says whether anything is news.
func (r *reading) read(pids []axprocess.PID) (news bool) {
	type result struct {
		found
		err error
	}
	results := make([]result, len(pids))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(pids)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pids)); i = next.Add(1) - 1 {
				results[i].found, results[i].err = r.src.process(pids[i])
			}
		})
	}
	wg.Wait()
	for i, pid := range pids {
		old, was := r.found[pid]
		if err := results[i].err; err != nil {
			news = news || was || r.omitted[pid] == ""
			delete(r.found, pid)
			r.omitted[pid] = err.Error()
			continue
		}
		delete(r.omitted, pid)
		r.found[pid] = results[i].found
		news = news || !was || !same(old, results[i].found)
	}
	return news
}

// same says whether two looks at a process found the same, as far as a table
// goes.
func same(a, b found) bool {
	tid := func(h, i axprocess.ThreadRecord) bool { return h.TID == i.TID }
	return a.info.Started == b.info.Started && a.record.PPID == b.record.PPID && a.record.PGID == b.record.PGID &&
		a.record.SID == b.record.SID && a.record.Zombie == b.record.Zombie &&
		slices.EqualFunc(a.record.Threads, b.record.Threads, tid)
}

// force makes a table of what goes on contradicting: a process whose parent is
// not to be had stays without one, and what else contradicts is left out.
func (r *reading) force(table *axprocess.Table) (*axprocess.Table, []Omission, error) {
	for len(r.found) > 0 {
		r.forceParents()
		c, err := r.enter(table)
		if err != nil {
			return nil, nil, err
		}
		if c == nil {
			return table, r.omissions(), nil
		}
		before := len(r.found)
		for _, c := range c {
			r.leave(c.PID, c.Reason)
			if before == len(r.found) && c.PID != 0 { // the number of a group or session only
				for pid, f := range r.found {
					if f.record.PGID == c.PID || f.record.SID == c.PID {
						r.leave(pid, c.Reason)
					}
				}
			}
		}
		if len(r.found) == before {
			return nil, nil, &axprocess.ImportError{Contradictions: c}
		}
	}
	return nil, nil, errors.New("all of its processes contradict each other")
}

func (r *reading) leave(pid axprocess.PID, reason string) {
	if _, is := r.found[pid]; is {
		delete(r.found, pid)
		r.omitted[pid] = "it contradicts others: " + reason
	}
}

func (r *reading) forceParents() {
	for pid, f := range r.found {
		if f.record.PPID == 0 {
			continue
		}
		if parent, is := r.found[f.record.PPID]; !is || parent.record.Zombie {
			f.record.PPID = 0
			f.lack("its parent is not in sight")
			r.found[pid] = f
		}
	}
}

// omissions lists what the table lacks.
func (r *reading) omissions() []Omission {
	var list []Omission
	for pid, reason := range r.omitted {
		list = append(list, Omission{pid, reason})
	}
	for pid, f := range r.found {
		if f.lacks != "" {
			list = append(list, Omission{pid, f.lacks})
		}
	}
	slices.SortFunc(list, func(a, b Omission) int { return cmp.Compare(a.PID, b.PID) })
	return list
}
