package axprocess

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// This file is about imports of random tables: in whatever order the entries come,
// the same table is made; what is imported and exported again is what it was; and a
// contradiction anywhere changes nothing.

// exported is a table as an import's input, in the order in which children joined
// their parents, so far as it can be said there: without pending signals and the
// like. Terminals are those of another table, by session.
func exported(table *Table, terms map[PID]*Terminal) (records []ProcessRecord) {
	all := table.Processes()
	births := map[PID]uint64{}
	for _, m := range table.Snapshot().Processes {
		births[m.PID] = m.Birth
	}
	slices.SortStableFunc(all, func(a, b *Process) int { return int(births[a.pid]) - int(births[b.pid]) })
	for _, p := range all {
		rec := ProcessRecord{
			PID: p.PID(), PGID: p.Group().PGID(), SID: p.Session().SID(), Data: p.PID(),
			Zombie: p.IsZombie(), Stopped: p.Stopped(), Subreaper: p.IsSubreaper(),
			Forked: !p.HasExeced(), IgnoresSIGCHLD: p.hasFlag(flagIgnoresChild), NoChildWait: p.hasFlag(flagNoChildWait),
		}
		if parent := p.Parent(); parent != nil {
			rec.PPID = parent.PID()
		}
		if rec.Zombie {
			rec.Cause, rec.Code = p.cause(), p.ExitCode()
		}
		for _, h := range p.Threads() {
			rec.Threads = append(rec.Threads, ThreadRecord{TID: h.TID()})
		}
		rec.LeaderExited = len(rec.Threads) > 0 && !slices.ContainsFunc(rec.Threads, func(h ThreadRecord) bool { return h.TID == rec.PID }) // or it never had one
		if term := p.Terminal(); term != nil {
			rec.Terminal, rec.Foreground = terms[rec.SID], term.Foreground()
		}
		records = append(records, rec)
	}
	return records
}

// randomProcesses is a table with a history.
func randomProcesses(rt *rapid.T) *Table {
	h := &history{table: NewTable(), pick: func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "pick") }}
	h.begin()
	for range rapid.IntRange(5, 80).Draw(rt, "steps") {
		h.step()
	}
	return h.table
}

// imported makes a table of a table's processes, in an order that is given.
func imported(rt *rapid.T, from *Table, order func([]ProcessRecord)) *Table {
	to := NewTable()
	terms := map[PID]*Terminal{}
	for _, v := range from.Sessions() {
		terms[v.SID()] = to.NewTerminal(nil)
	}
	records := exported(from, terms)
	order(records)
	if err := to.Import(1, records); err != nil {
		rt.Fatalf("%v: %+v", err, records)
	}
	if err := to.Check(); err != nil {
		rt.Fatal(err)
	}
	return to
}

// inText is what a table's records say; a foreground is by its number.
func inText(table *Table) (lines []string) {
	for _, rec := range exported(table, nil) {
		lines = append(lines, fmt.Sprintf("%+v terminal %t", rec, table.Process(rec.PID).Terminal() != nil))
	}
	return lines
}

func asTheyAre([]ProcessRecord) {}

// TestImportInAnyOrder: a random table's processes, exported, imported and exported
// again are the same, children in their order too; in another order of entries, but
// for that order.
func TestImportInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from := randomProcesses(rt)
		shuffle := func(records []ProcessRecord) { copy(records, rapid.Permutation(records).Draw(rt, "order")) }
		same, shuffled := imported(rt, from, asTheyAre), imported(rt, from, shuffle)
		want := inText(from)
		if got := inText(same); !slices.Equal(got, want) {
			rt.Fatalf("the table\n%v\nwas\n%v", got, want)
		}
		for _, p := range from.Processes() {
			if got, want := numbersOf(same.Process(p.PID()).Children(), (*Process).PID), numbersOf(p.Children(), (*Process).PID); !slices.Equal(got, want) {
				rt.Fatalf("process %d has children %v, had %v", p.PID(), got, want)
			}
		}
		got := inText(shuffled)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("in another order\n%v\nwas\n%v", got, want)
		}
	})
}

// spoils make a record contradict the others, or the table that they are for.
var spoils = map[string]func(rec, other *ProcessRecord){
	"no number":               func(rec, _ *ProcessRecord) { rec.PID = -rec.PID },
	"a number too high":       func(rec, _ *ProcessRecord) { rec.PID = defaultMaxPID },
	"a number of the table's": func(rec, _ *ProcessRecord) { rec.PID = 1 },
	"another's number":        func(rec, other *ProcessRecord) { rec.PID = other.PID },
	"no such parent":          func(rec, _ *ProcessRecord) { rec.PPID = 9_999 },
	"its own parent":          func(rec, _ *ProcessRecord) { rec.PPID = rec.PID },
	"another's thread":        func(rec, other *ProcessRecord) { rec.Threads, rec.Zombie = []ThreadRecord{{TID: other.PID}}, false },
	"a zombie with threads":   func(rec, _ *ProcessRecord) { rec.Zombie, rec.Threads = true, []ThreadRecord{{TID: rec.PID}} },
	"a stopped zombie":        func(rec, _ *ProcessRecord) { rec.Zombie, rec.Threads, rec.Stopped = true, nil, SIGSTOP },
	"a group of two sessions": func(rec, other *ProcessRecord) { rec.PGID, rec.SID = other.PGID, 9_998 },
	"another table's terminal": func(rec, _ *ProcessRecord) {
		rec.Terminal = NewTable().NewTerminal(nil)
	},
	"a foreground of no terminal": func(rec, _ *ProcessRecord) { rec.Terminal, rec.Foreground = nil, rec.PID },
}

// TestImportSpoiltAnywhere: one record that can't be, at any place among many, is
// named, and the table that the others were for is as it was; without it they go in.
func TestImportSpoiltAnywhere(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(spoils))
	rapid.Check(t, func(rt *rapid.T) {
		table := imported(rt, randomProcesses(rt), asTheyAre)
		var fresh []ProcessRecord
		for i := range rapid.IntRange(2, 12).Draw(rt, "records") {
			n := PID(10_000 + 10*i)
			rec := ProcessRecord{PID: n, PPID: 1, PGID: n, SID: n, Threads: []ThreadRecord{{TID: n}, {TID: n + 1}}}
			if above := rapid.IntRange(0, i).Draw(rt, "parent"); above < i {
				rec.PPID, rec.PGID, rec.SID = fresh[above].PID, fresh[above].PGID, fresh[above].SID
			}
			fresh = append(fresh, rec)
		}
		order := rapid.Permutation(fresh).Draw(rt, "order")
		spoilt := slices.Clone(order)
		at := rapid.IntRange(0, len(spoilt)-1).Draw(rt, "place")
		what := rapid.SampledFrom(kinds).Draw(rt, "contradiction")
		spoils[what](&spoilt[at], &spoilt[(at+1)%len(spoilt)])
		before := table.Snapshot()
		err := table.Import(0, spoilt)
		var contradicts *ImportError
		if !errors.As(err, &contradicts) || len(contradicts.Contradictions) == 0 {
			rt.Fatalf("%s: %v", what, err)
		}
		if after := table.Snapshot(); !reflect.DeepEqual(before, after) {
			rt.Fatalf("%s: the table\n%+v\nwas\n%+v", what, after, before)
		}
		if err := errors.Join(table.Import(0, order), table.Check()); err != nil {
			rt.Fatalf("what was sound: %v", err)
		}
	})
}
